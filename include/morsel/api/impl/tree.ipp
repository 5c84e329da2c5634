#pragma once

#include <algorithm>
#include <morsel/api/tree.hpp>
#include <ostream>

namespace morsel::inline MORSEL_ABI {

namespace detail {

/// A path without empty parts.
MORSEL_INLINE std::string tidy_tree_path(std::string_view path) {
  std::string tidy;
  for_each_part(path, [&](std::string_view part) {
    if (!tidy.empty()) tidy += '/';
    tidy += part;
  });
  return tidy;
}

MORSEL_INLINE std::string_view parent_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == path.npos ? std::string_view() : path.substr(0, slash);
}

MORSEL_INLINE bool is_below(std::string_view path, std::string_view group) {
  return group.empty() ||
         (path.size() > group.size() && path.starts_with(group) && path[group.size()] == '/');
}

}  // namespace detail

MORSEL_INLINE bool Tree::PathLess::operator()(std::string_view a, std::string_view b) const {
  const auto rank = [](char c) { return c == '/' ? 0 : 1 + static_cast<int>(static_cast<unsigned char>(c)); };
  return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end(),
                                      [&](char x, char y) { return rank(x) < rank(y); });
}

MORSEL_INLINE std::size_t Tree::size() const {
  return static_cast<std::size_t>(std::count_if(
      nodes_.begin(), nodes_.end(), [](const auto& node) { return node.second.leaf.has_value(); }));
}

MORSEL_INLINE bool Tree::contains(std::string_view path) const {
  const std::string tidy = detail::tidy_tree_path(path);
  return tidy.empty() || nodes_.contains(tidy);
}

MORSEL_INLINE bool Tree::is_group(std::string_view path) const {
  const std::string tidy = detail::tidy_tree_path(path);
  if (tidy.empty()) return true;
  const auto found = nodes_.find(tidy);
  return found != nodes_.end() && !found->second.leaf;
}

/// The node at a path that is not the root's.
MORSEL_INLINE Tree::Nodes::const_iterator Tree::find(std::string_view path, const char* doing) const {
  const std::string tidy = detail::tidy_tree_path(path);
  const auto found = nodes_.find(tidy);
  if (found != nodes_.end()) return found;
  std::string_view above = detail::parent_of(tidy);
  while (!contains(above)) above = detail::parent_of(above);
  std::string names;
  std::size_t count = 0;
  if (is_group(above))
    for (const Member& member : members(above))
      if (++count <= 10) names += (names.empty() ? "'" : ", '") + member.path + "'";
  if (count > 10) names += " and " + std::to_string(count - 10) + " more";
  fail(Errc::not_found, std::string(doing) + " '" + tidy + "' of a tree: there is none; expected one of " +
                            (names.empty() ? "no members" : names) + " in '" + std::string(above) +
                            "', got '" + tidy + "'");
}

MORSEL_INLINE std::vector<Member> Tree::members(std::string_view path) const {
  const std::string group = detail::tidy_tree_path(path);
  auto at = nodes_.begin();
  if (!group.empty()) {
    at = find(group, "listing group");
    if (at->second.leaf) return {};
    ++at;
  }
  const std::size_t start = group.empty() ? 0 : group.size() + 1;
  std::vector<Member> members;
  for (; at != nodes_.end() && detail::is_below(at->first, group); ++at)
    if (at->first.find('/', start) == std::string::npos)
      members.push_back(
          {at->first.substr(start), at->second.leaf ? Member::Kind::array : Member::Kind::group});
  return members;
}

MORSEL_INLINE const Attributes& Tree::attrs(std::string_view path) const {
  const std::string group = detail::tidy_tree_path(path);
  return group.empty() ? attributes_ : find(group, "attributes of group")->second.attributes;
}

MORSEL_INLINE Leaf Tree::leaf(std::string_view path) const {
  const std::string tidy = detail::tidy_tree_path(path);
  if (!is_group(tidy)) return *find(tidy, "leaf")->second.leaf;
  fail(Errc::invalid_argument, "leaf '" + tidy + "' of a tree: a group; expected a leaf, got a group of " +
                                   std::to_string(members(tidy).size()) + " members");
}

MORSEL_INLINE Tree Tree::group(std::string_view path) const {
  const std::string name = detail::tidy_tree_path(path);
  if (name.empty()) return *this;
  auto at = find(name, "group");
  if (at->second.leaf)
    fail(Errc::invalid_argument, "group '" + name + "' of a tree: an array; expected a group, got a leaf");
  Tree below;
  below.origin_ = origin_;
  below.attributes_ = at->second.attributes;
  for (++at; at != nodes_.end() && detail::is_below(at->first, name); ++at) {
    std::string inner = at->first.substr(name.size() + 1);
    Node node = at->second;
    if (node.leaf) node.leaf = Leaf(inner, node.leaf->state());
    below.nodes_.emplace_hint(below.nodes_.end(), std::move(inner), std::move(node));
  }
  return below;
}

MORSEL_INLINE std::vector<Leaf> Tree::leaves() const {
  std::vector<Leaf> all;
  for (const auto& [path, node] : nodes_)
    if (node.leaf) all.push_back(*node.leaf);
  return all;
}

MORSEL_INLINE std::vector<Leaf> Tree::glob(std::string_view pattern) const {
  const Glob wanted(pattern);
  std::vector<Leaf> found;
  for (const auto& [path, node] : nodes_)
    if (node.leaf && wanted.matches(path)) found.push_back(*node.leaf);
  return found;
}

MORSEL_INLINE void Tree::make_groups(const std::string& path) {
  for (std::size_t slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1)) {
    const Node& node = nodes_[path.substr(0, slash)];
    if (node.leaf)
      fail(Errc::invalid_argument, "adding '" + path + "' to a tree: '" + path.substr(0, slash) +
                                       "' is an array; expected a group, got a leaf");
  }
}

MORSEL_INLINE Tree& Tree::add(std::string_view path, const Leaf& leaf, ExistingTarget existing) {
  const std::string tidy = detail::tidy_tree_path(path);
  if (tidy.empty())
    fail(Errc::invalid_argument,
         "adding a leaf to a tree: no path; expected a name, got '" + std::string(path) + "'");
  if (contains(tidy)) {
    if (existing == ExistingTarget::skip) return *this;
    if (existing == ExistingTarget::refuse)
      fail(Errc::already_exists, "adding '" + tidy + "' to a tree: it is there; expected a new path, got " +
                                     (is_group(tidy) ? "that of a group" : "that of a leaf"));
    remove(tidy);
  }
  make_groups(tidy);
  nodes_[tidy].leaf = Leaf(tidy, leaf.state());
  return *this;
}

MORSEL_INLINE Tree& Tree::add_group(std::string_view path, Attributes attrs) {
  const std::string tidy = detail::tidy_tree_path(path);
  if (tidy.empty()) {
    attributes_ = std::move(attrs);
    return *this;
  }
  if (contains(tidy) && !is_group(tidy))
    fail(Errc::already_exists,
         "adding group '" + tidy + "' to a tree: it is there; expected a group or a new path, got a leaf");
  make_groups(tidy);
  nodes_[tidy].attributes = std::move(attrs);
  return *this;
}

MORSEL_INLINE Tree& Tree::remove(std::string_view path) {
  const std::string tidy = detail::tidy_tree_path(path);
  auto at = find(tidy, "removing");
  at = nodes_.erase(at);
  while (at != nodes_.end() && detail::is_below(at->first, tidy)) at = nodes_.erase(at);
  return *this;
}

namespace detail {

/// Prints the members of one group; `at` moves behind them.
class TreePrinter {
 public:
  TreePrinter(const morsel::Tree& tree, const TreeText& options) : tree_(tree), options_(options) {}

  std::string text() {
    Index groups = 0;
    for (const auto& [path, node] : tree_.nodes()) groups += !node.leaf;
    const std::string name = tree_.origin().empty() ? "tree" : last_part(tree_.origin());
    text_ = name + "  " + counted(groups, "group") + ", " +
            counted(static_cast<Index>(tree_.nodes().size()) - groups, "array") +
            attributes_text(tree_.attrs());
    at_ = tree_.nodes().begin();
    print_members("", "");
    return text_ + "\n";
  }

 private:
  static std::string counted(Index count, const std::string& what) {
    return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
  }
  static std::string attributes_text(const Attributes& attributes) {
    return attributes.empty() ? "" : "  " + counted(static_cast<Index>(attributes.size()), "attribute");
  }

  void print_members(const std::string& group, const std::string& indent) {
    std::vector<morsel::Tree::Nodes::const_iterator> members;
    const std::size_t start = group.empty() ? 0 : group.size() + 1;
    for (; at_ != tree_.nodes().end() && is_below(at_->first, group); ++at_)
      if (at_->first.find('/', start) == std::string::npos) members.push_back(at_);
    const auto behind = at_;
    const auto shown_most = static_cast<std::size_t>(std::max<Index>(options_.most_members, 0));
    const bool is_cut = shown_most > 0 && members.size() > shown_most;
    // Half of those shown from the beginning, half from the end.
    const std::size_t first = is_cut ? (shown_most + 1) / 2 : members.size();
    const std::size_t rest = is_cut ? members.size() - shown_most : 0;
    for (std::size_t i = 0; i < members.size(); ++i) {
      if (is_cut && i == first) {
        const bool is_last = first + rest == members.size();
        text_ += "\n" + indent + (is_last ? "└── " : "├── ") + "... (" + std::to_string(rest) + " more)";
        i += rest;
        if (i == members.size()) break;
      }
      print(members[i], start, indent, i + 1 == members.size());
    }
    at_ = behind;
  }

  void print(morsel::Tree::Nodes::const_iterator member, std::size_t start, const std::string& indent,
             bool is_last) {
    const auto& [path, node] = *member;
    text_ += "\n" + indent + (is_last ? "└── " : "├── ");
    if (node.leaf) {
      text_ += to_string(Leaf(path.substr(start), node.leaf->state()));
      return;
    }
    text_ += path.substr(start) + attributes_text(node.attributes);
    at_ = std::next(member);
    print_members(path, indent + (is_last ? "    " : "│   "));
  }

  const morsel::Tree& tree_;
  const TreeText& options_;
  std::string text_;
  morsel::Tree::Nodes::const_iterator at_;
};

}  // namespace detail

MORSEL_INLINE std::string to_string(const Tree& tree, const TreeText& options) {
  if (options.most_members < 0)
    fail(Errc::invalid_argument, "printing a tree: negative number of members; expected >= 0, got " +
                                     std::to_string(options.most_members));
  return detail::TreePrinter(tree, options).text();
}

MORSEL_INLINE std::ostream& operator<<(std::ostream& out, const Tree& tree) { return out << to_string(tree); }

}  // namespace morsel::inline MORSEL_ABI
