#include "container_copy.hpp"

#include <sys/stat.h>

#include <filesystem>
#include <morsel/io/attributes_json.hpp>
#include <morsel/io/file_store.hpp>
#include <morsel/io/memory_store.hpp>
#include <morsel/io/store_key.hpp>
#include <morsel/io/zarr.hpp>
#include <morsel/io/zarr_sink.hpp>

#include "open_source.hpp"
#include "write_result.hpp"

namespace morsel::app {
namespace {

constexpr const char* journal_name = ".morsel-copy";

/// A group or array of the source; `path` below the place that is copied.
struct Node {
  std::string path;
  Attributes attributes;  // of a group
};

struct ArrayCopy {
  std::string path;
  OpenedEdge opened;
  SavePlan plan;
  bool is_done = false;
};

struct Skipped {
  std::string path, why;
};

/// All that is below a place, groups before what is in them.
struct Contents {
  std::vector<Node> groups;
  std::vector<std::string> arrays;

  void add(const Format& format, const Place& place, const std::string& inside, const std::string& path,
           int depth) {
    if (depth > 64)
      fail(Errc::unsupported,
           "listing '" + place.path + "': groups nested too deeply; expected at most 64 levels");
    const auto members = format.list(place, inside);
    if (!members) {
      arrays.push_back(path);
      return;
    }
    groups.push_back({path, format.attributes ? format.attributes(place, inside) : Attributes()});
    for (const Member& member : *members) {
      const std::string next = inside.empty() ? member.path : inside + "/" + member.path;
      const std::string relative = path.empty() ? member.path : path + "/" + member.path;
      if (member.kind == Member::Kind::array)
        arrays.push_back(relative);
      else
        add(format, place, next, relative, depth + 1);
    }
  }
};

class ContainerCopy {
 public:
  ContainerCopy(Session& session, const FoundFormat& source, const CopyArguments& arguments)
      : session_(session), source_(source), arguments_(arguments) {}

  void run() {
    refuse_options_of_arrays();
    contents_.add(*source_.format, source_.place, source_.inside, "", 0);
    target_ = zarr_target(arguments_.target, zarr_format_option(arguments_.storage));
    format_ = {{"zarr_format", std::to_string(target_.zarr_format)}};
    choose_directory();
    open_arrays();
    const std::string journal = journal_text();
    const bool goes_on = continues(journal);
    plan_arrays(goes_on);
    if (session_.explain) return explain();
    write(journal, goes_on);
    report();
  }

 private:
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

  void open_arrays() {
    for (const std::string& path : contents_.arrays) {
      const std::string inside = source_.inside.empty() ? path
                                 : path.empty()         ? source_.inside
                                                        : source_.inside + "/" + path;
      try {
        OpenedArray opened = source_.format->open(source_.place, inside, {});
        const StorageArguments storage = storage_for(opened.view.shape.size());
        ArrayCopy one;
        one.path = path;
        ways_.push_back(storage_of(opened, storage, target_.zarr_format));
        one.opened.dims = names_through(opened.view, opened.source.spec().dims);
        one.opened.attributes = opened.source.spec().attributes;
        one.opened.edge = make_source(std::move(opened.source), opened.view, {}, path);
        arrays_.push_back(std::move(one));
      } catch (const Error& error) {
        if (error.code() != Errc::unsupported) throw error.during("copying '" + path + "'");
        if (!arguments_.skip_unsupported)
          throw error.during("copying '" + path + "' (--skip-unsupported leaves such arrays out)");
        skipped_.push_back({path, error.what()});
      }
    }
  }

  /// Lengths per axis are of arrays with as many axes; others keep what they have.
  StorageArguments storage_for(std::size_t rank) const {
    StorageArguments storage = arguments_.storage;
    for (std::string* text : {&storage.chunks, &storage.shards}) {
      if (text->empty() || *text == "none") continue;
      const ChunkSpec spec = ChunkSpec::parse(*text);
      if (spec.axes() && spec.axes()->size() != rank) text->clear();
    }
    return storage;
  }

  /// Names what is copied and how: equal texts, equal trees.
  std::string journal_text() const {
    std::string text = "morsel copy, resume with the same source and options only\n";
    const auto add = [&](const std::string& part) { text += json_string(part) + " "; };
    const StorageArguments& storage = arguments_.storage;
    for (const std::string* part : {&storage.chunks, &storage.shards, &storage.codec}) add(*part);
    for (const auto& [name, value] : format_) add(value);
    for (const Node& group : contents_.groups) {
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
    for (const Node& group : contents_.groups)
      create_zarr_group(store, group.path, group.attributes, format_);
    for (ArrayCopy& one : arrays_) {
      if (one.is_done) continue;
      session_.run(one.plan.values, one.plan.targets);
      one.plan = {};
    }
    if (goes_on) detail::remove_temporaries(directory_);
    store.erase(journal_name);
    if (replaces) detail::replace_directory(directory_, final_, "copy to '" + final_ + "'");
  }

  void explain() {
    if (!session_.json) {
      for (const ArrayCopy& one : arrays_) {
        if (one.is_done) continue;
        session_.out << one.path << "\n";
        session_.run(one.plan.values, one.plan.targets);
        session_.out << "\n";
      }
      for (const Skipped& one : skipped_) session_.out << "skipped " << one.path << ": " << one.why << "\n";
      return;
    }
    JsonWriter json;
    json.begin_object().key("arrays").begin_array();
    for (const ArrayCopy& one : arrays_) {
      if (one.is_done) continue;
      json.begin_object().key("path").string(one.path).key("plan");
      json.raw(explain_plan(one.plan.values, one.plan.targets, session_.options()).json());
      json.end_object();
    }
    json.end_array();
    write_skipped(json);
    json.end_object();
    session_.out << json.text() << "\n";
  }

  void write_skipped(JsonWriter& json) const {
    json.key("skipped").begin_array();
    for (const Skipped& one : skipped_)
      json.begin_object().key("path").string(one.path).key("error").string(one.why).end_object();
    json.end_array();
  }

  void report() {
    if (!session_.json) {
      for (const Skipped& one : skipped_)
        session_.out << "skipped " << one.path << ": " << one_line(one.why) << "\n";
      return;
    }
    JsonWriter json;
    json.begin_object().key("path").string(arguments_.target);
    json.key("groups").integer(static_cast<Index>(contents_.groups.size()));
    json.key("arrays").begin_array();
    for (const ArrayCopy& one : arrays_) {
      json.begin_object();
      write_written(json, one.path, one.opened.edge);
      json.end_object();
    }
    json.end_array();
    write_skipped(json);
    json.end_object();
    session_.out << json.text() << "\n";
  }

  Session& session_;
  const FoundFormat& source_;
  const CopyArguments& arguments_;
  Contents contents_;
  ZarrTarget target_;
  FormatOptions format_;
  std::string final_, directory_;  // the target; where it grows
  std::vector<ArrayCopy> arrays_;
  std::vector<std::vector<SaveOptions>> ways_;
  std::vector<Skipped> skipped_;
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
