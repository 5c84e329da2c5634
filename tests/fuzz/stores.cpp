// Any bytes as a zip archive or a reference document: the store opens or is refused with an error, and
// whatever it lists can be read or fails with an error. Nothing else may happen.
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <morsel/io/reference_store.hpp>
#include <morsel/io/store_key.hpp>
#include <morsel/io/zip_store.hpp>
#include <string>
#include <vector>

using namespace morsel;

namespace {

[[noreturn]] void stop(const std::string& what, std::string_view key) {
  std::fprintf(stderr, "%s: '%s'\n", what.c_str(), std::string(key).c_str());
  std::abort();
}

void write_file(const std::string& path, const unsigned char* data, std::size_t size) {
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
}

/// Where the input stands, beside a file that it may refer to.
struct Folder {
  std::string path = "/dev/shm/morsel-fuzz-stores-" + std::to_string(::getpid());
  Folder() {
    ::mkdir(path.c_str(), 0700);
    const std::vector<unsigned char> bytes(1000, 'x');
    write_file(path + "/data.bin", bytes.data(), bytes.size());
  }
  ~Folder() {
    ::unlink((path + "/data.bin").c_str());
    ::rmdir(path.c_str());
  }
};

/// Reads all of a value, and its second half alone: both must give the same bytes.
void read_value(const AnyStore& store, const std::string& key) {
  const std::optional<Index> size = store.size(key);
  if (!size) stop("listed, but missing", key);
  if (*size > 1'000'000) return;
  std::vector<std::byte> whole(static_cast<std::size_t>(*size)), half(whole.size() / 2);
  GetRequest request{key, {}, whole};
  store.get(std::span<GetRequest>(&request, 1), {});
  if (!request.found || request.filled_bytes != whole.size()) stop("not of its size", key);
  request = {key, {-static_cast<Index>(half.size()), static_cast<Index>(half.size())}, half};
  if (half.empty()) return;
  store.get(std::span<GetRequest>(&request, 1), {});
  if (!std::equal(half.begin(), half.end(), whole.end() - static_cast<std::ptrdiff_t>(half.size())))
    stop("a part differs from the whole", key);
}

void read_all(const AnyStore& store) {
  std::vector<std::string> folders{""};
  for (int budget = 1000; !folders.empty() && budget > 0;) {
    const std::string folder = folders.back();
    folders.pop_back();
    std::vector<std::string> keys;
    store.list(folder, [&](std::string_view key) { keys.emplace_back(key); });
    for (const std::string& key : keys) {
      if (--budget == 0) return;
      if (key.back() == '/') {
        folders.push_back(key);
        continue;
      }
      check_key(key, "listing");  // throws what the catch below does not expect
      try {
        read_value(store, key);
      } catch (const Error& error) {
        if (error.code() == Errc::internal_error) stop(error.what(), key);
      }
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  static const Folder made;
  const std::string& folder = made.path;
  const std::string path = folder + "/input";
  write_file(path, data, size);
  try {
    if (size > 0 && (data[0] == '{' || data[0] == 0x1f)) {
      (void)is_reference_document(std::as_bytes(std::span(data, size)));
      ReferenceStoreOptions options;
      options.max_document_bytes = 4 * MiB;
      options.max_generated_refs = 1000;
      const ReferenceStore store(path, options);
      read_all(store);
    } else {
      const ZipStore store(path);
      const std::string root = store.nested_root();
      read_all(store);
      ZipStoreOptions options;
      options.prefix = root;
      if (!root.empty()) read_all(ZipStore(path, options));
    }
  } catch (const Error& error) {
    if (error.code() == Errc::internal_error || error.code() == Errc::invalid_argument)
      stop(error.what(), "");
  }
  ::unlink(path.c_str());
  return 0;
}
