#include "string_array.hpp"

#include <algorithm>
#include <list>
#include <morsel/ext/all.hpp>
#include <morsel/io/attributes_json.hpp>
#include <morsel/io/codec_registry.hpp>
#include <morsel/io/impl/text_file.hpp>
#include <morsel/io/store_key.hpp>
#include <morsel/io/vlen.hpp>
#include <morsel/io/zarr.hpp>
#include <nlohmann/json.hpp>

#include "element_text.hpp"
#include "print_array.hpp"
#include "slice_argument.hpp"
#include "write_result.hpp"

namespace morsel::app {
namespace {

using Json = nlohmann::ordered_json;

bool is_one_of(const std::string& name, std::initializer_list<const char*> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::string name_of(const Json& extension) {
  if (extension.is_string()) return extension.get<std::string>();
  return extension.is_object() && extension.contains("name") && extension["name"].is_string()
             ? extension["name"].get<std::string>()
             : "";
}

}  // namespace

struct StringArray::State {
  AnyStore store;
  std::string path, prefix, place;
  ZarrArray array;  // as if its elements were bytes: grid, keys, names, attributes, codecs behind the strings
  std::vector<CodecInfo> codecs;
  bool is_text = true;
  std::optional<std::string> fill;
  struct Chunk {
    Dims position;
    std::vector<std::byte> bytes;
    std::vector<VlenItem> items;  // none: the chunk is absent
  };
  std::list<Chunk> chunks;  // most recently used first
#if MORSEL_HAVE_HDF5
  std::optional<hdf5::Strings> in_hdf5;  // then the rest is a description alone
#endif
  std::size_t held_bytes = 0;

  std::string doing(const std::string& key) const { return "reading '" + place + "', chunk " + key; }

  /// The bytes before the codecs. How many they are is known only when they are there: the room grows.
  static std::vector<std::byte> decoded(const AnyCodec& definition, const std::vector<std::byte>& in,
                                        std::size_t most_bytes) {
    for (std::size_t room = std::max<std::size_t>(std::size_t{1} << 16, 4 * in.size());; room *= 8) {
      room = std::min(room, most_bytes);
      const AnyCodec codec = definition.prepare(DecodedSpec::byte_string(room));
      std::vector<std::byte> out(room), scratch(codec.scratch_bytes());
      try {
        out.resize(codec.decode(in, out, scratch));
        return out;
      } catch (const Error& error) {
        if (error.code() != Errc::corrupt_data || room >= most_bytes) throw;
      }
    }
  }

  Chunk read(const Dims& position, std::size_t most_bytes) const {
    const std::string name = array.keys.key(position), key = prefix.empty() ? name : prefix + "/" + name;
    Chunk chunk{position, {}, {}};
    const std::optional<Index> size = store.size(key);
    if (!size) return chunk;
    if (static_cast<std::size_t>(*size) > most_bytes)
      fail(Errc::unsupported, doing(name) +
                                  ": a chunk of strings does not fit into memory; expected at most " +
                                  std::to_string(most_bytes) + " bytes, got " + std::to_string(*size));
    chunk.bytes.resize(static_cast<std::size_t>(*size));
    GetRequest request{key, {}, chunk.bytes};
    store.get({&request, 1}, {});
    if (!request.found) return {position, {}, {}};
    chunk.bytes.resize(request.filled_bytes);
    try {
      for (auto codec = codecs.rbegin(); codec != codecs.rend(); ++codec)
        chunk.bytes =
            decoded(find_codec(codec->name, "decoding")->make(*codec, "decoding"), chunk.bytes, most_bytes);
      chunk.items = parse_vlen(chunk.bytes, static_cast<std::size_t>(size_of(array.chunk_shape)), "decoding");
    } catch (const Error& error) {
      throw error.during(doing(name));
    }
    return chunk;
  }

  const Chunk& chunk_at(const Dims& position, std::size_t most_bytes) {
    for (auto at = chunks.begin(); at != chunks.end(); ++at)
      if (at->position == position) {
        chunks.splice(chunks.begin(), chunks, at);
        return chunks.front();
      }
    chunks.push_front(read(position, most_bytes));
    const auto bytes_of = [](const Chunk& chunk) {
      return chunk.bytes.size() + chunk.items.size() * sizeof(VlenItem) + 256;
    };
    held_bytes += bytes_of(chunks.front());
    while (chunks.size() > 1 && (held_bytes > most_bytes || chunks.size() > 1000)) {
      held_bytes -= bytes_of(chunks.back());
      chunks.pop_back();
    }
    return chunks.front();
  }
};

std::optional<StringArray> StringArray::open(const std::string& path) {
  const FoundFormat found = find_format(path);
#if MORSEL_HAVE_HDF5
  if (std::optional<hdf5::Strings> strings = hdf5::Strings::open(path)) {
    auto state = std::make_shared<State>();
    state->array.format = "hdf5";
    state->array.chunk_shape = strings->chunks();
    state->array.grid = Grid::whole(strings->shape());
    state->array.dims = strings->dims();
    state->array.attributes = strings->attributes();
    state->codecs = strings->codecs();
    state->place = path;
    state->in_hdf5 = std::move(strings);
    StringArray array;
    array.state_ = std::move(state);
    return array;
  }
#endif
  if (!is_one_of(found.format->name, {"zarr", "kerchunk"})) return std::nullopt;
  const ZarrHierarchy hierarchy = zarr_hierarchy(found.place);
  const std::optional<ZarrNode> node = hierarchy.find(found.inside);
  if (!node || node->refused.empty() || !is_one_of(node->format, {"zarr_v2", "zarr_v3"})) return std::nullopt;
  const bool is_v3 = node->format == "zarr_v3";
  const auto text = [&](const char* name) {
    return get_text(hierarchy.store(), hierarchy.key(found.inside, name)).value_or("");
  };
  const std::string doing = "open '" + path + "'";
  Json document = Json::parse(quote_non_finite(text(is_v3 ? "zarr.json" : ".zarray")), nullptr, false);
  if (!document.is_object()) return std::nullopt;
  auto state = std::make_shared<State>();
  std::string codec;
  // The document of an array of bytes, which differs in nothing but its elements.
  if (is_v3) {
    const std::string name = document.contains("data_type") ? name_of(document["data_type"]) : "";
    Json& codecs = document["codecs"];
    if (!is_one_of(name, {"string", "bytes", "variable_length_bytes", "variable_length_utf8", "binary"}) ||
        !codecs.is_array() || codecs.empty())
      return std::nullopt;
    codec = name_of(codecs[0]);
    codecs[0] = "bytes";
    document["data_type"] = "uint8";
  } else {
    if (!document.contains("filters") || !document["filters"].is_array() || document["filters"].empty() ||
        !document["filters"][0].is_object())
      return std::nullopt;
    codec = document["filters"][0].value("id", "");
    document["filters"].erase(0);
    document["dtype"] = "|u1";
  }
  if (codec.starts_with("numcodecs.")) codec.erase(0, 10);
  if (!is_one_of(codec, {"vlen-utf8", "vlen-bytes"})) return std::nullopt;
  state->is_text = codec == "vlen-utf8";
  const Json fill = document.contains("fill_value") ? document["fill_value"] : Json();
  if (fill.is_string() && (state->is_text || fill.get<std::string>().empty()))
    state->fill = fill.get<std::string>();
  else if (!fill.is_string() && (!fill.is_array() || fill.empty()))
    state->fill = "";
  else if (fill.is_array()) {
    state->fill.emplace();
    for (const Json& byte : fill)
      if (byte.is_number_unsigned()) *state->fill += static_cast<char>(byte.get<unsigned>() & 255);
  }
  document["fill_value"] = 0;
  state->array =
      is_v3 ? parse_zarr_v3(document.dump(), doing) : parse_zarr_v2(document.dump(), text(".zattrs"), doing);
  state->codecs = state->array.codecs;
  if (state->codecs.empty() || state->codecs[0].name != "bytes" || !state->array.chunk_lengths.empty())
    fail(Errc::unsupported, doing +
                                ": strings of variable length in F order or chunks of several lengths; "
                                "expected C order and a regular grid");
  state->codecs.erase(state->codecs.begin());
  state->store = hierarchy.store();
  state->prefix = hierarchy.key(found.inside, "");
  while (!state->prefix.empty() && state->prefix.back() == '/') state->prefix.pop_back();
  state->place = path;
  StringArray array;
  array.state_ = std::move(state);
  return array;
}

const std::string& StringArray::format() const { return state_->array.format; }
Shape StringArray::shape() const {
#if MORSEL_HAVE_HDF5
  if (state_->in_hdf5) return state_->in_hdf5->shape();
#endif
  return state_->array.grid.shape();
}
bool StringArray::is_text() const { return state_->is_text; }

void StringArray::write(JsonWriter& json, Detail detail) const {
  const State& s = *state_;
  json.key("dtype").string(s.is_text ? "string" : "variable_length_bytes");
  json.key("shape").dims(shape()).key("chunks");
  if (s.array.format == "hdf5" && s.array.chunk_shape.empty())
    json.null();
  else
    json.dims(s.array.chunk_shape);
  if (detail == Detail::brief) {
    json.key("nbytes").null();
    return;
  }
  json.key("shards").null().key("dims");
  if (s.array.dims.empty()) {
    json.null();
  } else {
    json.begin_array();
    for (const std::string& name : s.array.dims) name.empty() ? json.null() : json.string(name);
    json.end_array();
  }
  json.key("order").string("C").key("fill_value");
  if (s.fill)
    json.string(*s.fill);
  else
    json.null();
  json.key("codecs").begin_array();
  if (s.array.format != "hdf5")
    json.begin_object().key("name").string(s.is_text ? "vlen-utf8" : "vlen-bytes").end_object();
  for (const CodecInfo& codec : s.codecs) {
    json.begin_object().key("name").string(codec.name);
    if (!codec.configuration.empty() && codec.configuration != "{}")
      json.key("configuration").raw(quote_non_finite(codec.configuration));
    json.end_object();
  }
  json.end_array();
  json.key("attributes").raw(quote_non_finite(to_json(s.array.attributes)));
  json.key("nbytes").null().key("stored_bytes").null();
}

std::string StringArray::element(const Dims& index, std::size_t most_bytes) const {
  State& s = *state_;
#if MORSEL_HAVE_HDF5
  if (s.in_hdf5) return s.in_hdf5->at(index);
#endif
  Dims position(index.size());
  Index number = 0;
  for (std::size_t i = 0; i < index.size(); ++i) {
    position[i] = index[i] / s.array.chunk_shape[i];
    number = number * s.array.chunk_shape[i] + index[i] % s.array.chunk_shape[i];
  }
  const State::Chunk& chunk = s.chunk_at(position, most_bytes);
  if (chunk.items.empty()) {
    if (!s.fill)
      fail(Errc::unsupported,
           s.doing(s.array.keys.key(position)) +
               ": absent, and the fill value is not read; expected one of text or numbers");
    return *s.fill;
  }
  const VlenItem& item = chunk.items[static_cast<std::size_t>(number)];
  return std::string(reinterpret_cast<const char*>(chunk.bytes.data()) + item.offset, item.length);
}

namespace {

/// An axis of the result: indices start + step * k of an axis of the array (`from` -1: a new axis).
struct Axis {
  int from = -1;
  Index start = 0, step = 1;
  std::vector<Index> picked;
  Index index(Index k) const {
    return start + step * (picked.empty() ? k : picked[static_cast<std::size_t>(k)]);
  }
};

/// A part of the array: the shape of the result, and where its elements are.
struct Part {
  Dims base;  // index of the result's first element; axes of the result add to it
  std::vector<Axis> axes;
  Shape shape;

  Part(const Shape& whole, const SliceItems& items) : base(whole.size(), 0) {
    std::size_t given = 0, axis = 0;
    for (const SliceItem& item : items)
      given += item.kind == SliceItem::Kind::integer || item.kind == SliceItem::Kind::slice;
    if (given > whole.size())
      fail(Errc::invalid_argument, "slicing " + to_string(whole) + ": too many indices; expected at most " +
                                       std::to_string(whole.size()) + ", got " + std::to_string(given));
    const auto keep = [&](std::size_t count) {
      for (; count > 0; --count, ++axis) add({static_cast<int>(axis), 0, 1, {}}, whole[axis]);
    };
    bool has_ellipsis = false;
    for (const SliceItem& item : items) {
      if (item.kind == SliceItem::Kind::newaxis) {
        add({}, 1);
      } else if (item.kind == SliceItem::Kind::ellipsis) {
        if (!has_ellipsis) keep(whole.size() - given);
        has_ellipsis = true;
      } else if (item.kind == SliceItem::Kind::integer) {
        const Index extent = whole[axis], at = *item.start < 0 ? *item.start + extent : *item.start;
        if (at < 0 || at >= extent)
          fail(Errc::invalid_argument, "slicing " + to_string(whole) + ": index out of range on axis " +
                                           std::to_string(axis) + "; expected below " +
                                           std::to_string(extent) + ", got " + std::to_string(*item.start));
        base[axis++] = at;
      } else {
        const ResolvedSlice range = resolve(item, whole[axis]);
        add({static_cast<int>(axis), range.start, range.step, {}}, range.count);
        ++axis;
      }
    }
    keep(whole.size() - axis);
  }
  void add(Axis axis, Index count) {
    axes.push_back(std::move(axis));
    shape.push_back(count);
  }
  /// Calls visit(index in the result, index in the array) for each element in C order.
  template <class Visit>
  void for_each(Visit&& visit) const {
    for_each_position(Region::of(shape), [&](const Dims& at) {
      Dims index = base;
      for (std::size_t i = 0; i < axes.size(); ++i)
        if (axes[i].from >= 0) index[static_cast<std::size_t>(axes[i].from)] = axes[i].index(at[i]);
      visit(at, index);
    });
  }
};

void write_nested(JsonWriter& json, const std::vector<std::string>& values, const Shape& shape,
                  std::size_t axis, std::size_t& next) {
  if (axis == shape.size()) {
    json.string(values[next++]);
    return;
  }
  json.begin_array();
  for (Index k = 0; k < shape[axis]; ++k) write_nested(json, values, shape, axis + 1, next);
  json.end_array();
}

}  // namespace

void write_strings(Session& session, const StringArray& array, const std::string& slice,
                   const std::string& out) {
  const std::string what = array.is_text() ? "string" : "variable_length_bytes";
  const bool prints = out.empty() || out == "-";
  if (!prints && !is_csv(out))
    fail(Errc::unsupported, "writing '" + out + "': elements of variable length (" + what +
                                "); expected a name that ends in .csv, or - to print, got '" + out + "'");
  if (session.explain)
    fail(Errc::unsupported, "explain: elements of variable length (" + what +
                                ") are read without a plan; expected elements of fixed size, got " + what);
  const std::size_t asked = session.options().memory.count();
  const std::size_t most_bytes = asked ? asked : std::size_t{256} << 20;
  Part part(array.shape(), slice_items(slice));
  const auto element = [&](const Dims& index) {
    if (session.stop.stop_requested()) fail(Errc::cancelled, "interrupted");
    return array.element(index, most_bytes);
  };
  const std::size_t rank = part.shape.size();
  const Index size = size_of(part.shape);
  if (!prints) {
    detail::TextFile file(out, detail::TextFile::Existing::replace);
    part.for_each([&](const Dims& at, const Dims& index) {
      std::string& text = file.text();
      if (rank > 2)
        for (const Index i : at) text += std::to_string(i) + ",";
      append_quoted(text, element(index), TextStyle::csv);
      text += rank == 2 && at[1] + 1 < part.shape[1] ? ',' : '\n';
      file.flush_if_long();
    });
    file.commit();
    if (!session.json) return;
    JsonWriter json;
    json.begin_object().key("path").string(out).key("dtype").string(what);
    json.key("shape").dims(part.shape).key("nbytes").null().end_object();
    session.out << json.text() << "\n";
    return;
  }
  if (session.json) {
    if (size > most_json)
      fail(Errc::unsupported, "printing as JSON: too many elements; expected at most " +
                                  std::to_string(most_json) + " (write a file with -o), got " +
                                  std::to_string(size));
    JsonWriter json;
    json.begin_object().key("dtype").string(what).key("shape").dims(part.shape).key("values");
    std::vector<std::string> values;
    part.for_each([&](const Dims&, const Dims& index) { values.push_back(element(index)); });
    std::size_t next = 0;
    write_nested(json, values, part.shape, 0, next);
    json.end_object();
    session.out << json.text() << "\n";
    return;
  }
  std::vector<Index> skipped(rank, -1);
  const Shape whole = part.shape;
  if (size > most_shown)
    for (std::size_t i = 0; i < rank; ++i) {
      part.axes[i].picked = corner_indices(whole[i], rank, rank - i, skipped[i]);
      part.shape[i] = static_cast<Index>(part.axes[i].picked.size());
    }
  std::vector<std::string> texts;
  part.for_each([&](const Dims&, const Dims& index) {
    if (!array.is_text())
      texts.emplace_back("b");
    else
      texts.emplace_back();
    append_quoted(texts.back(), element(index), TextStyle::shown);
  });
  session.out << array_text(std::move(texts), part.shape, skipped) << "\n";
  if (size > most_shown)
    session.out << "(corners of " << std::to_string(size) << " elements: " << what << " " << to_string(whole)
                << "; write all of them with -o OUT.csv)\n";
}

}  // namespace morsel::app
