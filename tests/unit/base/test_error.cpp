#include <catch2/catch.hpp>
#include <cerrno>
#include <morsel/base/error.hpp>
#include <set>

using namespace morsel;

TEST_CASE("every error code has a name of its own", "[base]") {
  std::set<std::string> names;
  const int last = static_cast<int>(Errc::internal_error);
  for (int code = 0; code <= last; ++code) names.insert(std::string(name_of(static_cast<Errc>(code))));
  CHECK(names.size() == static_cast<std::size_t>(last) + 1);
  CHECK(names.count("unknown") == 0);
  CHECK(name_of(Errc::budget_too_small) == "budget_too_small");
}

TEST_CASE("an error keeps its code when context is put in front", "[base]") {
  const Error error(Errc::corrupt_data, "decoding chunk (0, 1): too short");
  const Error outer = error.during("reading 'a.zarr'");
  CHECK(outer.code() == Errc::corrupt_data);
  CHECK(std::string(outer.what()) == "reading 'a.zarr': decoding chunk (0, 1): too short");
}

TEST_CASE("an error of the operating system says not_found where something is absent", "[base]") {
  const std::pair<int, Errc> table[] = {{ENOENT, Errc::not_found},
                                        {ENOTDIR, Errc::not_found},
                                        {EACCES, Errc::io_error},
                                        {ENOSPC, Errc::io_error},
                                        {EIO, Errc::io_error}};
  for (const auto& [number, code] : table) try {
      fail_errno(number, "opening 'x'");
    } catch (const Error& error) {
      CHECK(error.code() == code);
      CHECK(std::string(error.what()).rfind("opening 'x': ", 0) == 0);
      CHECK(std::string(error.what()).size() > 15);
    }
}

TEST_CASE("an error is a std::runtime_error", "[base]") {
  CHECK_THROWS_AS(fail(Errc::cancelled, "stopped"), std::runtime_error);
  CHECK_THROWS_WITH(fail(Errc::cancelled, "stopped"), "stopped");
}
