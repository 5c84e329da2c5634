#include "container_copy.hpp"

#include <sys/stat.h>

#include <filesystem>
#include <morsel/io/attributes_json.hpp>
#include <morsel/io/file_store.hpp>
#include <morsel/io/memory_store.hpp>
#include <morsel/io/store_key.hpp>
#include <morsel/io/zarr.hpp>
#include <morsel/io/zarr_sink.hpp>

#include "tree_copy.hpp"
#include "write_result.hpp"

namespace morsel::app {
namespace {

constexpr const char* journal_name = ".morsel-copy";

class ContainerCopy final : public TreeCopy {
 public:
  using TreeCopy::TreeCopy;

  void run() {
    refuse_options_of_arrays();
    target_ = zarr_target(arguments_.target, zarr_format_option(arguments_.storage));
    format_ = {{"zarr_format", std::to_string(target_.zarr_format)}};
    choose_directory();
    open_source();
    const std::string journal = journal_text();
    const bool goes_on = continues(journal);
    plan_arrays(goes_on);
    if (session_.explain) return explain();
    write(journal, goes_on);
    report();
  }

 private:
  std::vector<SaveOptions> ways_of(const OpenedArray& opened,
                                   const StorageArguments& storage) const override {
    return storage_of(opened, storage, target_.zarr_format);
  }

  void refuse_options_of_arrays() const {
    for (const auto& [option, text] :
         {std::pair("--region", &arguments_.region), std::pair("--append", &arguments_.append)})
      if (!text->empty())
        fail(Errc::invalid_argument, "copy to '" + arguments_.target + "': " + option +
                                         " of a container; expected an array as the source, got '" +
                                         arguments_.source + "'");
  }

  void choose_directory() {
    final_ = arguments_.target;
    while (final_.size() > 1 && final_.back() == '/') final_.pop_back();
    directory_ = final_;
    struct stat status;
    if (::lstat(final_.c_str(), &status) != 0) return;
    if (arguments_.overwrite) {
      if (!S_ISDIR(status.st_mode))
        refuse_existing(final_, "a directory to overwrite, or a new name, got something else");
      directory_ = detail::replacement_of(final_);
    } else if (!arguments_.resume) {
      refuse_foreign_directory(final_);
    }
  }

  /// Names what is copied and how: equal texts, equal trees.
  std::string journal_text() const {
    std::string text = "morsel copy, resume with the same source and options only\n";
    const auto add = [&](const std::string& part) { text += json_string(part) + " "; };
    const StorageArguments& storage = arguments_.storage;
    for (const std::string* part : {&storage.chunks, &storage.shards, &storage.codec}) add(*part);
    for (const auto& [name, value] : format_) add(value);
    for (const GroupCopy& group : groups_) {
      text += "\n";
      add(group.path);
      add(to_json(group.attributes));
    }
    for (std::size_t i = 0; i < arrays_.size(); ++i) {
      text += "\n";
      add(arrays_[i].path);
      add(fingerprint(named_array(arrays_[i].opened)));
      for (const SaveOptions& way : ways_[i]) {
        add(way.codec);
        for (const auto& [name, value] : way.options) add(name + "=" + value);
      }
    }
    return text + "\n";
  }

  /// Is an unfinished copy of the same plan there?
  bool continues(const std::string& journal) const {
    if (!arguments_.resume) return false;
    const FileStore store(directory_);
    const std::optional<std::string> found = get_text(store, journal_name);
    if (found && *found == journal) return true;
    if (directory_ != final_) return false;  // what is beside the target is nobody's
    if (found)
      refuse_existing(final_, "an unfinished copy of the same source with the same options, got another one");
    refuse_foreign_directory(final_);
    return false;
  }

  void plan_arrays(bool goes_on) {
    const FileStore store(directory_);
    for (std::size_t i = 0; i < arrays_.size(); ++i) {
      ArrayCopy& one = arrays_[i];
      const auto holds = [&](const char* name) { return store.size(one.path + "/" + name).has_value(); };
      one.is_done = goes_on && (holds("zarr.json") || holds(".zarray")) && !holds(".morsel-save");
      if (one.is_done) continue;
      // What a killed copy has left beside the target is removed before the first byte is written.
      const AnyStore into = directory_ == final_ || goes_on ? AnyStore(store) : AnyStore(MemoryStore());
      for (SaveOptions& way : ways_[i]) way.resume = goes_on;
      try {
        one.plan = plan_first(ways_[i], Saving(named_array(one.opened), into, one.path));
      } catch (const Error& error) {
        throw error.during("copying '" + one.path + "'");
      }
    }
  }

  void write(const std::string& journal, bool goes_on) {
    const bool replaces = directory_ != final_;
    if (replaces && !goes_on) {
      std::error_code ignored;
      std::filesystem::remove_all(directory_, ignored);
      for (std::size_t i = 0; i < arrays_.size(); ++i)
        arrays_[i].plan = plan_first(
            ways_[i], Saving(named_array(arrays_[i].opened), FileStore(directory_), arrays_[i].path));
    }
    session_.left_behind = replaces ? "'" + final_ + "' is as it was: go on with --overwrite --resume"
                                    : "what is written of '" + final_ + "' stays: finish it with --resume";
    const AnyStore store = FileStore(directory_);
    if (!goes_on) {
      if (!replaces && !target_.path.empty())
        create_zarr_group(FileStore(target_.root), target_.path, {}, format_);
      store.put(journal_name, {reinterpret_cast<const std::byte*>(journal.data()), journal.size()});
    }
    for (const GroupCopy& group : groups_) create_zarr_group(store, group.path, group.attributes, format_);
    for (ArrayCopy& one : arrays_) {
      if (one.is_done) continue;
      session_.run(one.plan.values, one.plan.targets);
      one.plan = {};
    }
    if (goes_on) detail::remove_temporaries(directory_);
    store.erase(journal_name);
    if (replaces) detail::replace_directory(directory_, final_, "copy to '" + final_ + "'");
  }

  ZarrTarget target_;
  FormatOptions format_;
  std::string final_, directory_;  // the target; where it grows
};

/// Into a file that appears whole when all of it is written.
class TreeCopyToFile final : public TreeCopy {
 public:
  using TreeCopy::TreeCopy;

  void run() {
    std::string target = arguments_.target;
    while (target.size() > 1 && target.back() == '/') target.pop_back();
    struct stat status;
    const bool is_file = ::stat(target.c_str(), &status) == 0;
    if (is_file && !arguments_.overwrite)
      refuse_existing(target,
                      "a new name, a path inside of the file, or --overwrite, got a file or directory");
    // A path inside of a file is added to it; a file of its own is all new.
    const auto batch = std::make_shared<WriteBatch>(WriteBatch::Ends::on_commit,
                                                    is_file ? WriteBatch::Old::goes : WriteBatch::Old::stays);
    open_source();
    for (std::size_t i = 0; i < arrays_.size(); ++i) {
      for (SaveOptions& way : ways_[i]) {
        way.overwrite = arguments_.overwrite;
        way.batch = batch;
      }
      try {
        arrays_[i].plan =
            plan_first(ways_[i], Saving(named_array(arrays_[i].opened), target + "/" + arrays_[i].path));
      } catch (const Error& error) {
        throw error.during("copying '" + arrays_[i].path + "'");
      }
    }
    if (session_.explain) return explain();
    const std::shared_ptr<const Format> format = container_format(target);
    for (const GroupCopy& group : groups_)
      format->create_group(group.path.empty() ? target : target + "/" + group.path, group.attributes, {},
                           batch);
    for (ArrayCopy& one : arrays_) {
      session_.run(one.plan.values, one.plan.targets);
      one.plan = {};
    }
    batch->commit();
    report();
  }

 private:
  std::vector<SaveOptions> ways_of(const OpenedArray& opened,
                                   const StorageArguments& storage) const override {
    return storage_in_one_file(opened, storage);
  }
};

std::vector<std::string> parts_of(const std::filesystem::path& path) {
  std::vector<std::string> parts;
  for (const auto& part : std::filesystem::weakly_canonical(path))
    if (!part.empty()) parts.push_back(part.string());
  return parts;
}

}  // namespace

void copy_container(Session& session, const FoundFormat& source, const CopyArguments& arguments) {
  ContainerCopy(session, source, arguments).run();
}

void copy_tree_to_file(Session& session, const FoundFormat& source, const CopyArguments& arguments) {
  TreeCopyToFile(session, source, arguments).run();
}

void refuse_overlap(const FoundFormat& source, const std::string& target) {
  const std::vector<std::string> a = parts_of(std::filesystem::path(source.place.path) / source.inside),
                                 b = parts_of(target);
  const std::size_t common = std::min(a.size(), b.size());
  if (!std::equal(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(common), b.begin())) return;
  fail(Errc::invalid_argument, "copy to '" + target + "': " +
                                   (a.size() == b.size()  ? "source and target are the same"
                                    : a.size() < b.size() ? "the target lies in the source"
                                                          : "the source lies in the target") +
                                   "; expected places apart, got '" + source.place.path +
                                   (source.inside.empty() ? "" : "/" + source.inside) + "'");
}

void refuse_foreign_directory(const std::string& target) {
  struct stat status;
  if (::lstat(target.c_str(), &status) != 0) return;
  std::error_code error;
  if (S_ISDIR(status.st_mode) && std::filesystem::is_empty(target, error) && !error) return;
  refuse_existing(target, "a new name, --overwrite or --resume, got a directory or file");
}

}  // namespace morsel::app
