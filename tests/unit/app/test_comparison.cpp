#include <app/comparison.hpp>
#include <catch2/catch.hpp>
#include <fstream>
#include <map>
#include <support/paths.hpp>

using namespace morsel;
using app::Session;
using app::Side;
using app::TreeDifference;

namespace {

/// A one-dimensional array of doubles with metadata.
struct TinyArray {
  std::vector<double> values;
  Attributes attributes = {};
  std::vector<std::string> dims = {};
  bool is_bad = false;
};

class TinySource {
 public:
  TinySource(TinyArray array, std::string name) : array_(std::move(array)), name_(std::move(name)) {
    spec_.grid = Grid::whole({static_cast<Index>(array_.values.size())});
    spec_.does_io = false;
    spec_.attributes = array_.attributes;
    spec_.dims = array_.dims;
    spec_.format = "tiny";
  }
  const ArraySpec& spec() const { return spec_; }
  FetchCost cost(const Dims&, const Region&) const { return {}; }
  Fetched fetch(const Dims&, const Region&, std::span<std::byte>, FetchMode, std::stop_token) const {
    return {};
  }
  void decode(const Dims&, const Region& region, std::span<const std::byte>, BufferView out,
              std::span<std::byte>) const {
    if (array_.is_bad) fail(Errc::corrupt_data, "tiny array: damaged");
    auto* values = reinterpret_cast<std::byte*>(const_cast<double*>(array_.values.data()));
    const Shape shape = spec_.shape();
    copy_elements(BufferView::c_order(values, shape, 8).part(Region::of(shape), region), out);
  }
  std::string identity() const { return name_; }
  std::string version() const { return "1"; }

 private:
  TinyArray array_;
  std::string name_;
  ArraySpec spec_;
};

struct TinyContainer {
  std::map<std::string, Attributes> groups;  ///< by path, "" for the root
  std::map<std::string, TinyArray> arrays;
};

/// Files that hold a name of one of these containers behind a magic are containers of the format "tiny".
std::map<std::string, TinyContainer>& containers() {
  static std::map<std::string, TinyContainer> by_name;
  return by_name;
}

const TinyContainer& container_of(const Place& place) {
  const std::string name(reinterpret_cast<const char*>(place.head.data()) + 4, place.head.size() - 4);
  return containers().at(name);
}

std::vector<Member> members_of(const TinyContainer& container, const std::string& inside) {
  std::vector<Member> members;
  const std::string start = inside.empty() ? "" : inside + "/";
  const auto add = [&](const std::string& path, Member::Kind kind) {
    if (path.size() > start.size() && path.compare(0, start.size(), start) == 0 &&
        path.find('/', start.size()) == std::string::npos)
      members.push_back({path.substr(start.size()), kind});
  };
  for (const auto& [path, attributes] : container.groups) add(path, Member::Kind::group);
  for (const auto& [path, array] : container.arrays) add(path, Member::Kind::array);
  return members;
}

void register_tiny() {
  Format tiny;
  tiny.name = "tiny";
  tiny.title = "tiny container";
  tiny.recognises = [](const Place& place) { return place.has_magic("TINY"); };
  tiny.list = [](const Place& place, const std::string& inside) -> std::optional<std::vector<Member>> {
    const TinyContainer& container = container_of(place);
    if (!container.groups.contains(inside)) return std::nullopt;
    return members_of(container, inside);
  };
  tiny.attributes = [](const Place& place, const std::string& inside) {
    return container_of(place).groups.at(inside);
  };
  tiny.open = [](const Place& place, const std::string& inside, const FormatOptions&) {
    const TinyArray& array = container_of(place).arrays.at(inside);
    return OpenedArray{TinySource(array, place.path + "/" + inside),
                       View::identity({static_cast<Index>(array.values.size())})};
  };
  register_format(std::move(tiny));
}

std::string file_of(const test::TempDir& dir, const std::string& name, TinyContainer container) {
  containers()[name] = std::move(container);
  const std::string path = dir / name;
  std::ofstream(path) << "TINY" << name;
  return path;
}

std::vector<std::string> paths_of(const auto& items) {
  std::vector<std::string> paths;
  for (const auto& item : items) paths.push_back(item.path);
  return paths;
}
using Paths = std::vector<std::string>;

}  // namespace

TEST_CASE("hierarchies are compared member by member, with attributes and names of axes") {
  register_tiny();
  const test::TempDir dir;
  TinyContainer one;
  one.groups = {{"", {{"title", "\"x\""}, {"n", "[1, 2]"}, {"o", R"({"a": 1, "b": NaN})"}}},
                {"g", {}},
                {"g/deep", {{"k", "1"}}},
                {"odd", {}},
                {"lost", {}},
                {"lost/below", {}}};
  one.arrays = {{"same", {{1, 2, 3}, {{"units", "\"K\""}}, {"t"}}},
                {"g/values", {{1, 2, 3}}},
                {"g/units", {{1, 2, 3}, {{"units", "\"K\""}, {"only", "true"}}}},
                {"g/deep/dims", {{1, 2, 3}, {}, {"x"}}},
                {"g/nodims", {{1, 2, 3}, {}, {"x"}}},
                {"g/length", {{1, 2, 3}}},
                {"bad", {{1, 2}}}};
  TinyContainer two = one;
  Session session;
  session.progress = false;

  const Side a(file_of(dir, "one", one)), b(file_of(dir, "two", two));
  REQUIRE(a.is_group);
  const TreeDifference none = compare_groups(session, a, b, {});
  CHECK(none.is_equal());
  CHECK(none.arrays.size() == 7);

  // Written otherwise, but the same.
  two.groups[""] = {{"n", "[1,2.0]"}, {"o", R"({"b":NaN,"a":1})"}, {"title", "\"x\""}};
  CHECK(compare_groups(session, a, Side(file_of(dir, "two", two)), {}).is_equal());

  two.groups[""] = {{"title", "\"y\""}, {"n", "[2, 1]"}, {"o", R"({"a": 1, "b": NaN})"}};
  two.groups["g/deep"] = {};
  two.groups.erase("odd"), two.groups.erase("lost"), two.groups.erase("lost/below");
  two.groups["new"] = {};
  two.arrays["odd"] = {{1}};
  two.arrays["g/values"].values[1] = 7;
  two.arrays["g/units"].attributes = {{"units", "\"degC\""}};
  two.arrays["g/deep/dims"].dims = {"y"};
  two.arrays["g/nodims"].dims = {};
  two.arrays["g/length"].values = {1, 2};
  two.arrays["bad"].is_bad = true;
  const TreeDifference tree = compare_groups(session, a, Side(file_of(dir, "two", two)), {});
  CHECK_FALSE(tree.is_equal());
  CHECK(paths_of(tree.only_in_a) == Paths{"lost"});
  CHECK(paths_of(tree.only_in_b) == Paths{"new"});
  REQUIRE(paths_of(tree.other_kind) == Paths{"odd"});
  CHECK(tree.other_kind[0].a == "group");
  CHECK(tree.other_kind[0].b == "array");
  REQUIRE(paths_of(tree.groups) == Paths{"", "g/deep"});
  REQUIRE(tree.groups[0].attributes.size() == 2);
  CHECK(tree.groups[0].attributes[0].name == "n");
  CHECK(tree.groups[0].attributes[1].a == "\"x\"");
  CHECK(tree.groups[0].attributes[1].b == "\"y\"");
  CHECK(tree.groups[1].attributes[0].a == "1");
  CHECK(tree.groups[1].attributes[0].b == std::nullopt);
  CHECK(tree.failed == 1);
  std::map<std::string, const TreeDifference::Array*> arrays;
  for (const TreeDifference::Array& array : tree.arrays) arrays[array.path] = &array;
  REQUIRE(arrays.size() == 7);
  CHECK(arrays["bad"]->error.find("damaged") != std::string::npos);
  for (const char* path : {"same", "g/nodims"}) CHECK(arrays[path]->difference->is_equal());
  for (const char* path : {"g/values", "g/units", "g/deep/dims", "g/length"})
    CHECK_FALSE(arrays[path]->difference->is_equal());
  CHECK(arrays["g/values"]->difference->elements->different == 1);
  CHECK(arrays["g/units"]->difference->attributes.size() == 2);
  CHECK(arrays["g/units"]->difference->elements->different == 0);
  CHECK(arrays["g/deep/dims"]->difference->has_other_dims);
  CHECK_FALSE(arrays["g/length"]->difference->elements);
}
