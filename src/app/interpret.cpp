#include "interpret.hpp"

#include <algorithm>
#include <limits>

#include "scalar.hpp"

namespace morsel::app {
namespace {

/// Runs one operation; its errors tell the column.
template <class F>
Value at_column(int column, F&& operation) {
  try {
    return operation();
  } catch (const LocatedError&) {
    throw;
  } catch (const Error& error) {
    throw LocatedError(column, error.code(), error.what());
  }
}

[[noreturn]] void refuse(const Expr& expr, Errc code, const std::string& what) {
  throw LocatedError(expr.column, code, what);
}

Op op_of(const Expr& expr) {
  static constexpr struct {
    const char* text;
    Op unary, binary;
  } table[] = {{"+", Op::positive, Op::add},
               {"-", Op::negative, Op::subtract},
               {"~", Op::bitwise_invert, Op::bitwise_invert},
               {"*", Op::multiply, Op::multiply},
               {"/", Op::divide, Op::divide},
               {"//", Op::floor_divide, Op::floor_divide},
               {"%", Op::remainder, Op::remainder},
               {"**", Op::pow, Op::pow},
               {"&", Op::bitwise_and, Op::bitwise_and},
               {"|", Op::bitwise_or, Op::bitwise_or},
               {"^", Op::bitwise_xor, Op::bitwise_xor},
               {"<<", Op::bitwise_left_shift, Op::bitwise_left_shift},
               {">>", Op::bitwise_right_shift, Op::bitwise_right_shift},
               {"<", Op::less, Op::less},
               {"<=", Op::less_equal, Op::less_equal},
               {">", Op::greater, Op::greater},
               {">=", Op::greater_equal, Op::greater_equal},
               {"==", Op::equal, Op::equal},
               {"!=", Op::not_equal, Op::not_equal}};
  for (const auto& row : table)
    if (expr.text == row.text) return expr.kind == Expr::Kind::unary ? row.unary : row.binary;
  refuse(expr, Errc::internal_error, "operator '" + expr.text + "' has no operation");
}

bool is_namespace(std::string_view name) {
  return name == "np" || name == "numpy" || name == "xp" || name == "morsel";
}

/// Constants and dtypes, after the user's own names.
std::optional<Value> builtin(std::string_view name) {
  if (name == "True") return Scalar::of(true);
  if (name == "False") return Scalar::of(false);
  if (name == "None" || name == "newaxis") return Value(None{});
  if (name == "pi") return Scalar::of(3.14159265358979323846);
  if (name == "e") return Scalar::of(2.71828182845904523536);
  if (name == "inf") return Scalar::of(std::numeric_limits<double>::infinity());
  if (name == "nan") return Scalar::of(std::numeric_limits<double>::quiet_NaN());
  for (int i = 0; i < numeric_type_count; ++i)
    if (name_of(static_cast<Type>(i)) == name) return Value(std::string(name));
  for (const char* type : {"bool_", "int", "float", "complex", "half", "single", "double", "intp", "uint"})
    if (name == type) return Value(std::string(name));
  return std::nullopt;
}

class Interpreter {
 public:
  explicit Interpreter(const Lookup& lookup) : lookup_(lookup) {}

  Value value_of(const Expr& expr) const {
    switch (expr.kind) {
      case Expr::Kind::integer:
        return Scalar::of(expr.integer);
      case Expr::Kind::real:
        return Scalar::of(expr.number);
      case Expr::Kind::imaginary:
        return Scalar::of(std::complex<double>(0, expr.number));
      case Expr::Kind::string:
        return Value(expr.text);
      case Expr::Kind::name:
        return name(expr);
      case Expr::Kind::unary:
        return unary(expr);
      case Expr::Kind::binary:
        return binary(expr);
      case Expr::Kind::tuple:
      case Expr::Kind::list: {
        Sequence sequence;
        for (const ExprPtr& item : expr.children) sequence.items.push_back(value_of(*item));
        return Value(std::move(sequence));
      }
      case Expr::Kind::call:
        return call(expr);
      case Expr::Kind::subscript:
        return subscript(expr);
      case Expr::Kind::attribute:
        return attribute(expr);
      case Expr::Kind::ellipsis:
      case Expr::Kind::slice:
        break;
    }
    refuse(expr, Errc::invalid_argument, "'...' stands outside brackets; expected a value");
  }

 private:
  Value name(const Expr& expr) const {
    if (auto own = at_optional(expr)) return *own;
    if (auto constant = builtin(expr.text)) return *constant;
    if (find_function(expr.text))
      refuse(expr, Errc::invalid_argument,
             "'" + expr.text + "' is a function; expected a call, " + expr.text + "(...)");
    refuse(expr, Errc::not_found,
           "unknown name '" + expr.text + "'; expected a name given as " + expr.text +
               "=SRC, or one of pi, e, inf, nan, True, False, None");
  }

  std::optional<Value> at_optional(const Expr& expr) const {
    std::optional<Value> found;
    at_column(expr.column, [&] {
      found = lookup_(expr.text);
      return Value();
    });
    return found;
  }

  Value unary(const Expr& expr) const {
    const Value value = value_of(*expr.children[0]);
    return at_column(expr.column, [&]() -> Value {
      if (const Scalar* scalar = value.scalar()) return fold(expr.text, *scalar);
      return morsel::apply(op_of(expr), {operand(value, expr.text)});
    });
  }

  Value binary(const Expr& expr) const {
    const Value left = value_of(*expr.children[0]), right = value_of(*expr.children[1]);
    return at_column(expr.column, [&]() -> Value {
      if (left.scalar() && right.scalar()) return fold(expr.text, *left.scalar(), *right.scalar());
      if (!left.edge() && !right.edge())
        fail(Errc::invalid_argument,
             expr.text + ": no array on either side; expected asarray([...]) around a list, got " +
                 described(left) + " and " + described(right));
      // NumPy squares x ** 2, which keeps bool small where power makes it int64.
      if (const Scalar* power = right.scalar(); power && power->kind == WeakKind::integer &&
                                                power->integer == 2 && expr.text == "**" && left.edge() &&
                                                left.edge()->dtype() == DType(Type::bool_))
        return morsel::apply(Op::square, {*left.edge()});
      return morsel::apply(op_of(expr), {operand(left, expr.text), operand(right, expr.text)});
    });
  }

  static Operand operand(const Value& value, const std::string& op) {
    if (const Scalar* scalar = value.scalar()) return *scalar;
    if (value.edge() || value.sequence()) return array_of(value);
    fail(Errc::invalid_argument,
         op + ": not a number; expected an array or a number, got " + described(value));
  }

  Value call(const Expr& expr) const {
    const Expr& callee = *expr.children[0];
    std::vector<Argument> positional;
    std::vector<std::pair<std::string, Argument>> named;
    std::string name;
    if (callee.kind == Expr::Kind::name) {
      name = callee.text;
    } else if (callee.kind == Expr::Kind::attribute) {
      name = callee.text;
      const Expr& object = *callee.children[0];
      const bool is_prefix =
          object.kind == Expr::Kind::name && is_namespace(object.text) && !at_optional(object);
      if (!is_prefix) positional.push_back({value_of(object), object.column});
    } else {
      refuse(callee, Errc::invalid_argument, "not a function; expected a function's name before '('");
    }
    const bool is_method = !positional.empty();
    for (std::size_t i = 1; i < expr.children.size(); ++i) {
      Argument argument{value_of(*expr.children[i]), expr.children[i]->column};
      if (const std::string& keyword = expr.keywords[i - 1]; keyword.empty())
        positional.push_back(std::move(argument));
      else
        named.emplace_back(keyword, std::move(argument));
    }
    return at_column(callee.column, [&]() -> Value {
      const Function* function = find_function(name);
      if (!function) return cast_call(name, is_method, positional, named);
      if (is_method && !positional[0].value.edge())
        fail(Errc::invalid_argument,
             name + ": a method of " + described(positional[0].value) + "; expected an array before the dot");
      return function->call(Arguments(*function, std::move(positional), std::move(named)));
    });
  }

  /// float32(x): a dtype called like a function converts.
  static Value cast_call(const std::string& name, bool is_method, const std::vector<Argument>& positional,
                         const std::vector<std::pair<std::string, Argument>>& named) {
    const std::optional<Value> type = builtin(name);
    if (!is_method && type && type->text()) {
      if (positional.size() != 1 || !named.empty())
        fail(Errc::invalid_argument,
             name + ": expected one argument, got " + std::to_string(positional.size() + named.size()));
      return array_of(positional[0].value, numeric_dtype(*type->text()));
    }
    const std::string similar = similar_functions(name);
    fail(Errc::not_found,
         "unknown function '" + name + "'; expected " +
             (similar.empty() ? std::string("one that `morsel eval --functions` lists") : similar));
  }

  Value attribute(const Expr& expr) const {
    const Expr& object = *expr.children[0];
    if (object.kind == Expr::Kind::name && is_namespace(object.text) && !at_optional(object)) {
      if (auto constant = builtin(expr.text)) return *constant;
      refuse(expr, Errc::not_found,
             "unknown name '" + object.text + "." + expr.text +
                 "'; expected a function call, a dtype or a constant");
    }
    const Value value = value_of(object);
    return at_column(expr.column, [&]() -> Value {
      const Edge* edge = value.edge();
      const std::string& name = expr.text;
      if (!edge)
        fail(Errc::invalid_argument,
             "." + name + " of " + described(value) + "; expected an array before the dot");
      if (name == "T") {
        std::vector<Index> order = all_axes(edge->shape().size());
        std::reverse(order.begin(), order.end());
        return permute_dims(*edge, order);
      }
      if (name == "mT") {
        std::vector<Index> order = all_axes(edge->shape().size());
        if (order.size() < 2)
          fail(Errc::invalid_argument,
               ".mT of an array of shape " + to_string(edge->shape()) + "; expected at least two axes");
        std::swap(order[order.size() - 1], order[order.size() - 2]);
        return permute_dims(*edge, order);
      }
      if (name == "real") return morsel::apply(Op::real, {*edge});
      if (name == "imag") return morsel::apply(Op::imag, {*edge});
      if (name == "ndim") return Scalar::of(static_cast<std::int64_t>(edge->shape().size()));
      if (name == "size") return Scalar::of(size_of(edge->shape()));
      if (name == "nbytes")
        return Scalar::of(
            checked_mul(size_of(edge->shape()), static_cast<Index>(edge->dtype().item_bytes())));
      if (name == "dtype") return Value(edge->dtype().name());
      if (name == "shape") {
        Sequence shape;
        for (const Index extent : edge->shape()) shape.items.emplace_back(Scalar::of(extent));
        return Value(std::move(shape));
      }
      fail(Errc::not_found,
           "unknown attribute '." + name +
               "'; expected T, mT, real, imag, shape, ndim, size, nbytes, dtype or a method call");
    });
  }

  // ---- subscripts: integers, slices, ..., None, and one list
  // -------------------------------------------------------

  /// The string between the brackets of a record's field, else nothing.
  static Value field_name(const Expr& expr) {
    return expr.kind == Expr::Kind::string ? Value(expr.text) : Value();
  }

  /// One field of a record, chunk by chunk.
  static Edge field_of(const Edge& records, const std::string& name) {
    const std::vector<Field>& fields = records.dtype().fields();
    const auto field =
        std::find_if(fields.begin(), fields.end(), [&](const Field& f) { return f.name == name; });
    std::string names;
    for (const Field& f : fields) names += (names.empty() ? "" : ", ") + f.name;
    if (field == fields.end())
      fail(Errc::not_found, "['" + name + "']: no such field; expected one of " + names + ", got " + name);
    if (!field->shape.empty())
      fail(Errc::unsupported,
           "['" + name +
               "']: a field that is an array itself is not supported; expected one with a single value");
    MapChunksNode call;
    call.inputs = {records};
    call.function = [offset = field->offset_bytes](const ChunkInfo&, const std::vector<BufferView>& in,
                                                   const BufferView& out) {
      BufferView part = in[0];
      part.data += offset;
      part.item_bytes = out.item_bytes;
      copy_elements(part, out);
    };
    return map_chunks("field " + name, std::move(call), field->dtype);
  }

  /// One item between the brackets. A list selects; everything else is basic indexing.
  struct Item {
    SliceItem basic;
    std::optional<std::vector<Index>> list;
  };

  Value subscript(const Expr& expr) const {
    const Value object = value_of(*expr.children[0]);
    if (const Sequence* sequence = object.sequence()) return element(expr, *sequence);
    if (const Edge* edge = object.edge(); edge && edge->dtype().is_record() && expr.children.size() == 2)
      if (const Value index = field_name(*expr.children[1]); index.text())
        return at_column(expr.column, [&]() -> Value { return field_of(*edge, *index.text()); });
    std::vector<Item> items;
    for (std::size_t i = 1; i < expr.children.size(); ++i) append_items(*expr.children[i], items);
    return at_column(expr.column, [&]() -> Value {
      const Edge* edge = object.edge();
      if (!edge)
        fail(Errc::invalid_argument,
             "[...] of " + described(object) + "; expected an array before the brackets");
      SliceItems basic;
      for (const Item& item : items) basic.push_back(item.basic);
      const auto list =
          std::find_if(items.begin(), items.end(), [](const Item& item) { return item.list.has_value(); });
      if (list == items.end()) return slice(*edge, basic);
      return with_list(*edge, items, std::move(basic), static_cast<std::size_t>(list - items.begin()));
    });
  }

  Value element(const Expr& expr, const Sequence& sequence) const {
    const Value index = expr.children.size() == 2 && expr.children[1]->kind != Expr::Kind::slice
                            ? value_of(*expr.children[1])
                            : Value();
    const Scalar* scalar = index.scalar();
    const auto count = static_cast<Index>(sequence.items.size());
    if (!scalar || scalar->kind != WeakKind::integer || scalar->is_unsigned || scalar->integer < -count ||
        scalar->integer >= count)
      refuse(expr, Errc::out_of_range,
             "an index into a list of " + std::to_string(count) + "; expected an integer inside it, got " +
                 described(index));
    return sequence
        .items[static_cast<std::size_t>(scalar->integer < 0 ? scalar->integer + count : scalar->integer)];
  }

  void append_items(const Expr& expr, std::vector<Item>& items) const {
    if (expr.kind == Expr::Kind::ellipsis) return items.push_back({SliceItem(ellipsis), {}});
    if (expr.kind == Expr::Kind::slice) {
      SliceItem item;
      std::optional<Index>* const bounds[] = {&item.start, &item.stop, &item.step};
      for (std::size_t k = 0; k < 3; ++k)
        if (expr.children[k]) *bounds[k] = bound(*expr.children[k]);
      return items.push_back({item, {}});
    }
    const Value value = value_of(expr);
    if (value.is_none()) return items.push_back({SliceItem(newaxis), {}});
    if (const Scalar* scalar = value.scalar();
        scalar && scalar->kind == WeakKind::integer && !scalar->is_unsigned)
      return items.push_back({SliceItem(scalar->integer), {}});
    if (const Sequence* sequence = value.sequence()) {
      if (expr.kind == Expr::Kind::tuple) {  // a[(0, 1)] is a[0, 1]
        for (const ExprPtr& item : expr.children) append_items(*item, items);
        return;
      }
      return items.push_back({SliceItem(), list_of(expr, *sequence)});
    }
    if (const Edge* edge = value.edge(); edge && is_bool(edge->dtype().type()))
      refuse(expr, Errc::unsupported,
             "indexing with a mask: the shape of the result is not known; expected where(mask, a, 0), or "
             "a reduction of it, got " +
                 described(value));
    refuse(expr, Errc::invalid_argument,
           "not an index; expected integers, slices, ..., None or one list of integers, got " +
               described(value));
  }

  std::optional<Index> bound(const Expr& expr) const {
    const Value value = value_of(expr);
    if (value.is_none()) return std::nullopt;
    const Scalar* scalar = value.scalar();
    if (!scalar || scalar->kind > WeakKind::integer)
      refuse(expr, Errc::invalid_argument,
             "not a bound of a slice; expected an integer or nothing, got " + described(value));
    return scalar->is_unsigned ? std::numeric_limits<Index>::max() : scalar->integer;
  }

  static std::vector<Index> list_of(const Expr& expr, const Sequence& sequence) {
    std::vector<Index> indices;
    for (const Value& item : sequence.items) {
      const Scalar* scalar = item.scalar();
      if (!scalar || scalar->kind != WeakKind::integer || scalar->is_unsigned)
        refuse(expr, Errc::invalid_argument,
               "not a list of indices; expected integers, got " + described(item));
      indices.push_back(scalar->integer);
    }
    return indices;
  }

  /// NumPy's rule for one list among basic items: integers count as lists of one, and where a slice, ... or
  /// None stands between them, the list's axis comes first in the result.
  static Edge with_list(const Edge& edge, const std::vector<Item>& items, SliceItems basic,
                        std::size_t place) {
    std::size_t consumed = 0;
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (i != place && items[i].list)
        fail(Errc::unsupported, "[...]: lists on more than one axis; expected one list, got more");
      consumed += items[i].list || basic[i].kind == SliceItem::Kind::integer ||
                  basic[i].kind == SliceItem::Kind::slice;
    }
    const std::size_t rank = edge.shape().size();
    if (consumed > rank)
      fail(Errc::invalid_argument, "[...]: too many indices; expected at most " + std::to_string(rank) +
                                       " for shape " + to_string(edge.shape()) + ", got " +
                                       std::to_string(consumed));
    // 1. The axis that the list selects from, and the axis of the result of basic indexing that it becomes.
    std::size_t axis = 0, axis_after = 0;
    for (std::size_t i = 0; i < place; ++i) {
      const SliceItem::Kind kind = basic[i].kind;
      if (kind == SliceItem::Kind::ellipsis) {
        axis += rank - consumed;
        axis_after += rank - consumed;
      } else {
        axis += kind != SliceItem::Kind::newaxis;
        axis_after += kind != SliceItem::Kind::integer;
      }
    }
    const Edge taken = take(edge, *items[place].list, static_cast<Index>(axis));
    const Edge sliced = slice(taken, basic);
    // 2. Is there anything between the first and the last of the integers and the list?
    std::size_t first = place, last = place;
    for (std::size_t i = 0; i < items.size(); ++i)
      if (!items[i].list && basic[i].kind == SliceItem::Kind::integer) {
        first = std::min(first, i);
        last = std::max(last, i);
      }
    bool apart = false;
    for (std::size_t i = first; i < last; ++i)
      apart |= !items[i].list && basic[i].kind != SliceItem::Kind::integer;
    return apart ? moveaxis(sliced, {static_cast<Index>(axis_after)}, {0}) : sliced;
  }

  const Lookup& lookup_;
};

}  // namespace

Value interpret(const Expr& expr, const Lookup& lookup) { return Interpreter(lookup).value_of(expr); }

}  // namespace morsel::app
