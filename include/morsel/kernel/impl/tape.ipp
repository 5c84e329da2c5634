#pragma once

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <map>
#include <morsel/base/checked.hpp>
#include <morsel/kernel/impl/tile_baseline.ipp>
#include <morsel/kernel/simd.hpp>
#include <morsel/kernel/tape.hpp>

namespace morsel::inline MORSEL_ABI {

// ---- kernels
// -----------------------------------------------------------------------------------------------------

namespace detail {

static_assert(static_cast<int>(Type::bool_) == b1 && static_cast<int>(Type::int64) == i64 &&
              static_cast<int>(Type::uint64) == u64 && static_cast<int>(Type::float16) == f16 &&
              static_cast<int>(Type::complex128) == c128 && numeric_type_count == tile_type_count);
static_assert(tiles_baseline::tile == tile_size);

/// The kernels of a level, filled when the level is first in force, as reduce_table is.
MORSEL_INLINE const TileTable& tile_table(SimdLevel level) {
#if !defined(MORSEL_HEADER_ONLY) && defined(MORSEL_HAVE_AVX512)
  if (level == SimdLevel::avx512) {
    static const TileTable table = [] {
      TileTable made = tile_table(SimdLevel::avx2);
      fill_tile_table_avx512(made);
      return made;
    }();
    return table;
  }
#endif
#if !defined(MORSEL_HEADER_ONLY) && defined(MORSEL_HAVE_AVX2)
  if (level != SimdLevel::baseline) {
    static const TileTable table = [] {
      TileTable made = tile_table(SimdLevel::baseline);
      fill_tile_table_avx2(made);
      return made;
    }();
    return table;
  }
#endif
  static_cast<void>(level);
  static const TileTable table = [] {
    TileTable made = {};
    fill_tile_table_baseline(made);
    return made;
  }();
  return table;
}

// The kernels of integer powers need exponents >= 0.
template <class T>
void checked_integer_pow(std::size_t n, void* out, const void* const* in, const void* state) {
  const T* exponents = static_cast<const T*>(in[1]);
  for (std::size_t i = 0; i < n; ++i)
    if (exponents[i] < 0)
      fail(Errc::invalid_argument,
           "pow: negative integer exponent; expected >= 0, got " + std::to_string(exponents[i]));
  tile_table(SimdLevel::baseline)
      .op[static_cast<int>(Op::pow)][static_cast<int>(type_of<T>)](n, out, in, state);
}

// True if `op` gives its operand back, bit for bit.
MORSEL_INLINE bool is_identity(Op op, const OpTypes& types) {
  const Type t = types.in[0];
  switch (op) {
    case Op::positive:
      return true;
    case Op::conj:
    case Op::real:
      return !is_complex(t);
    case Op::floor:
    case Op::ceil:
    case Op::trunc:
    case Op::round:
      return is_bool(t) || is_integer(t);
    case Op::abs:
      return is_bool(t) || is_unsigned_integer(t);
    default:
      return false;
  }
}

}  // namespace detail

MORSEL_INLINE TileFn cast_kernel(Type from, Type to) {
  if (from == Type::carried || to == Type::carried) return nullptr;
  return detail::tile_table(simd_level()).cast[static_cast<int>(from)][static_cast<int>(to)];
}

MORSEL_INLINE TileFn op_kernel(Op op, const OpTypes& types) {
  const detail::TileTable& table = detail::tile_table(simd_level());
  const int arity = arity_of(op);
  for (int i = 0; i < arity; ++i)
    if (types.in[static_cast<std::size_t>(i)] == Type::carried) return nullptr;
  if (op >= Op::equal && op <= Op::greater_equal && types.in[0] != types.in[1]) {
    const int k = static_cast<int>(op) - static_cast<int>(Op::equal);
    if (types.in[0] == Type::int64 && types.in[1] == Type::uint64) return table.compare_i64_u64[k];
    if (types.in[0] == Type::uint64 && types.in[1] == Type::int64) return table.compare_u64_i64[k];
    return nullptr;
  }
  if (op == Op::where && types.in[0] != Type::bool_) return nullptr;
  const Type key = op == Op::where ? types.in[1] : types.in[0];
  for (int i = op == Op::where ? 1 : 0; i < arity; ++i)
    if (types.in[static_cast<std::size_t>(i)] != key) return nullptr;
  if (op == Op::pow) {
    switch (key) {
      case Type::int8:
        return detail::checked_integer_pow<std::int8_t>;
      case Type::int16:
        return detail::checked_integer_pow<std::int16_t>;
      case Type::int32:
        return detail::checked_integer_pow<std::int32_t>;
      case Type::int64:
        return detail::checked_integer_pow<std::int64_t>;
      default:
        break;
    }
  }
  return table.op[static_cast<int>(op)][static_cast<int>(key)];
}

// ---- Tape
// --------------------------------------------------------------------------------------------------------

namespace detail {

MORSEL_INLINE bool same_step(const TapeStep& a, const TapeStep& b) {
  if (a.kind != b.kind || a.type != b.type) return false;
  switch (a.kind) {
    case TapeStep::Kind::input:
      return a.input == b.input;
    case TapeStep::Kind::constant:
      return a.constant == b.constant;
    case TapeStep::Kind::op:
      return a.op == b.op && a.types == b.types && a.args == b.args;
    case TapeStep::Kind::cast:
      return a.args == b.args;
    case TapeStep::Kind::user:
      return false;
  }
  return false;
}

MORSEL_INLINE std::size_t hash_of(const TapeStep& step) {
  std::size_t hash = 0;
  const auto add = [&](std::size_t value) { hash = (hash ^ value) * 0x9e3779b97f4a7c15u + (hash >> 29); };
  add(static_cast<std::size_t>(step.kind));
  add(static_cast<std::size_t>(step.type));
  add(static_cast<std::size_t>(step.input));
  add(static_cast<std::size_t>(step.op));
  for (const std::byte b : step.constant) add(static_cast<std::size_t>(b));
  for (const int a : step.args) add(static_cast<std::size_t>(a));
  return hash;
}

// Converts one element; `from` and `to` are 16 bytes each.
MORSEL_INLINE std::array<std::byte, 16> cast_element(Type from, const std::array<std::byte, 16>& element,
                                                     Type to) {
  alignas(16) std::array<std::byte, 16> in = element, out{};
  const void* args[] = {in.data()};
  cast_kernel(from, to)(1, out.data(), args, nullptr);
  return out;
}

}  // namespace detail

MORSEL_INLINE int Tape::enter(TapeStep step) {
  const std::size_t hash = detail::hash_of(step);
  for (auto [at, end] = known_.equal_range(hash); at != end; ++at)
    if (detail::same_step(steps_[static_cast<std::size_t>(at->second)], step)) return at->second;
  const int number = static_cast<int>(steps_.size());
  known_.emplace(hash, number);
  steps_.push_back(std::move(step));
  return number;
}

MORSEL_INLINE int Tape::input(int number, Type type) {
  if (type == Type::carried || number < 0)
    fail(Errc::dtype_mismatch, "elementwise input: not a numeric dtype; expected one of the fourteen, got " +
                                   std::string(name_of(type)));
  if (const Type known = input_types_.emplace(number, type).first->second; known != type)
    fail(Errc::internal_error, "elementwise input: number " + std::to_string(number) +
                                   " has two dtypes; expected " + std::string(name_of(known)) + ", got " +
                                   std::string(name_of(type)));
  TapeStep step;
  step.kind = TapeStep::Kind::input;
  step.type = type;
  step.input = number;
  return enter(std::move(step));
}

MORSEL_INLINE int Tape::constant(Type type, const void* element) {
  if (type == Type::carried)
    fail(Errc::dtype_mismatch,
         "elementwise constant: not a numeric dtype; expected one of the fourteen, got carried");
  TapeStep step;
  step.kind = TapeStep::Kind::constant;
  step.type = type;
  std::memcpy(step.constant.data(), element, item_bytes_of(type));
  return enter(std::move(step));
}

MORSEL_INLINE int Tape::cast(int step, Type to) {
  const TapeStep& from = steps_[static_cast<std::size_t>(step)];
  if (from.type == to) return step;
  if (to == Type::carried) fail(Errc::dtype_mismatch, "cast: expected a numeric dtype, got carried");
  if (from.kind == TapeStep::Kind::constant)
    return constant(to, detail::cast_element(from.type, from.constant, to).data());
  TapeStep s;
  s.kind = TapeStep::Kind::cast;
  s.type = to;
  s.args = {step};
  return enter(std::move(s));
}

MORSEL_INLINE int Tape::apply(Op op, const std::vector<int>& args) {
  std::vector<Type> operands;
  for (const int a : args) operands.push_back(type_of_step(a));
  TapeStep s;
  s.kind = TapeStep::Kind::op;
  s.op = op;
  s.types = resolve_op(op, operands);
  s.type = s.types.result;
  for (std::size_t i = 0; i < args.size(); ++i) s.args.push_back(cast(args[i], s.types.in[i]));
  if (detail::is_identity(op, s.types)) return s.args[0];
  return enter(std::move(s));
}

MORSEL_INLINE int Tape::user(std::shared_ptr<const UserKernel> kernel, const std::vector<int>& args) {
  if (args.size() != kernel->in.size() || args.size() > max_kernel_arity)
    fail(Errc::invalid_argument,
         kernel->name + ": wrong number of arrays; expected " + std::to_string(kernel->in.size()) +
             " (at most " + std::to_string(max_kernel_arity) + "), got " + std::to_string(args.size()));
  TapeStep s;
  s.kind = TapeStep::Kind::user;
  s.type = kernel->result;
  for (std::size_t i = 0; i < args.size(); ++i) s.args.push_back(cast(args[i], kernel->in[i]));
  s.user = std::move(kernel);
  return enter(std::move(s));
}

MORSEL_INLINE int Tape::power(int step, double exponent) {
  const Type given = type_of_step(step);
  const Type type = is_bool(given) ? Type::int8 : given;
  const auto constant_of = [&](double value) {
    std::array<std::byte, 16> element{};
    std::memcpy(element.data(), &value, sizeof value);
    return constant(type, detail::cast_element(Type::float64, element, type).data());
  };
  if (is_integer(type)) {
    const double limit = std::ldexp(1.0, 8 * static_cast<int>(item_bytes_of(type)) - is_signed_integer(type));
    if (!(exponent >= 0 && exponent < limit && exponent == std::floor(exponent)))
      fail(Errc::invalid_argument, "pow: exponent does not fit " + std::string(name_of(type)) +
                                       "; expected an integer >= 0 and below " + std::to_string(limit) +
                                       ", got " + std::to_string(exponent));
  }
  if (exponent == 0) return constant_of(1);
  if (exponent == 1) return cast(step, type);
  if (exponent == 2) return apply(Op::square, {step});
  if (exponent == 0.5) return apply(Op::sqrt, {step});
  if (exponent == -1) return apply(Op::reciprocal, {step});
  return apply(Op::pow, {cast(step, type), constant_of(exponent)});
}

// ---- compilation
// -------------------------------------------------------------------------------------------------

// Turns a tape into instructions:
//   1. mark the steps that the outputs need                     mark_live
//   2. let super-instructions swallow their inner steps         fuse
//   3. give each value a place: a slot or an output's memory    place
//   4. note which outputs need each instruction                 note_needs
class TileCompiler {
 public:
  TileCompiler(const Tape& tape, const std::vector<int>& outputs, CompileOptions options,
               TileProgram& program)
      : steps_(tape.steps()), outputs_(outputs), options_(options), program_(program), table_(table()) {}

  void compile() {
    mark_live();
    make_instructions();
    if (options_.super_instructions) fuse();
    place();
    note_needs();
  }

 private:
  // One kernel call that gives the value of a step.
  struct Call {
    TileFn run = nullptr;
    std::vector<int> args;
    std::string name;
    std::shared_ptr<const void> state;
  };

  static const detail::TileTable& table() { return detail::tile_table(simd_level()); }
  static std::size_t at(int i) { return static_cast<std::size_t>(i); }
  const TapeStep& step(int i) const { return steps_[at(i)]; }
  bool is_op(int i, Op op) const { return step(i).kind == TapeStep::Kind::op && step(i).op == op; }

  void mark_live() {
    live_.assign(steps_.size(), false);
    for (const int o : outputs_) live_[at(o)] = true;
    for (std::size_t i = steps_.size(); i-- > 0;) {
      const TapeStep& s = steps_[i];
      if (live_[i])
        for (const int a : s.args) live_[at(a)] = true;
      if (s.kind != TapeStep::Kind::input) continue;
      if (program_.inputs_.size() <= at(s.input)) {
        program_.inputs_.resize(at(s.input) + 1, Type::carried);
        program_.used_.resize(at(s.input) + 1, false);
      }
      program_.inputs_[at(s.input)] = s.type;
      program_.used_[at(s.input)] = live_[i];
    }
  }

  void make_instructions() {
    calls_.resize(steps_.size());
    uses_.assign(steps_.size(), 0);
    for (const int o : outputs_) ++uses_[at(o)];
    for (std::size_t i = 0; i < steps_.size(); ++i) {
      const TapeStep& s = steps_[i];
      if (!live_[i]) continue;
      for (const int a : s.args) ++uses_[at(a)];
      Call& call = calls_[i];
      call.args = s.args;
      switch (s.kind) {
        case TapeStep::Kind::input:
        case TapeStep::Kind::constant:
          break;
        case TapeStep::Kind::op:
          call.run = op_kernel(s.op, s.types);
          call.name = std::string(name_of(s.op));
          if (!call.run)
            fail(Errc::unsupported, call.name + ": no kernel for this dtype; expected a real dtype, got " +
                                        std::string(name_of(s.types.in[s.op == Op::where ? 1 : 0])));
          break;
        case TapeStep::Kind::cast:
          call.run = cast_kernel(step(s.args[0]).type, s.type);
          call.name = std::string(name_of(s.type));
          break;
        case TapeStep::Kind::user:
          call.run = s.user->run;
          call.state = s.user->state;
          call.name = s.user->name;
          break;
      }
    }
  }

  // True if step `i` may become part of the only call that uses it.
  bool is_single(int i, Op op) const { return is_op(i, op) && uses_[at(i)] == 1 && calls_[at(i)].run; }
  // The factors of a product used once; square(x) is x * x.
  bool is_product(int i, int& a, int& b) const {
    if (is_single(i, Op::multiply)) return a = step(i).args[0], b = step(i).args[1], true;
    if (is_single(i, Op::square)) return a = b = step(i).args[0], true;
    return false;
  }

  bool replace(int i, detail::Super super, std::vector<int> args, const char* name,
               std::initializer_list<int> inner) {
    const int type = static_cast<int>(step(args.back()).type);
    const TileFn run = table_.super[static_cast<int>(super)][type];
    if (!run) return false;
    calls_[at(i)] = {run, std::move(args), name, nullptr};
    for (const int k : inner) swallow(k);
    return true;
  }
  void swallow(int i) {
    calls_[at(i)] = {};
    live_[at(i)] = false;
  }

  // Later steps first, so that a sum of products takes both products before either is taken alone.
  void fuse() {
    for (int i = static_cast<int>(steps_.size()) - 1; i >= 0; --i) {
      if (!live_[at(i)] || step(i).kind != TapeStep::Kind::op) continue;
      const std::vector<int>& args = step(i).args;
      switch (step(i).op) {
        case Op::add:
          fuse_sum(i, args[0], args[1]);
          break;
        case Op::subtract:
          fuse_difference(i, args[0], args[1]);
          break;
        case Op::multiply:
          fuse_product(i, args[0], args[1]);
          break;
        case Op::square:
          fuse_square(i, args[0]);
          break;
        case Op::divide:
          if (is_single(args[0], Op::subtract))
            replace(i, detail::Super::subtract_divide, {left(args[0]), right(args[0]), args[1]},
                    "subtract_divide", {args[0]});
          break;
        case Op::where:
          fuse_select(i, args[0], args[1], args[2]);
          break;
        default:
          break;
      }
    }
  }
  int left(int i) const { return step(i).args[0]; }
  int right(int i) const { return step(i).args[1]; }

  void fuse_sum(int i, int x, int y) {
    int a = 0, b = 0, c = 0, d = 0;
    if (x == y) return;
    const bool x_is_product = is_product(x, a, b), y_is_product = is_product(y, c, d);
    if (x_is_product && fuse_scaled_cast(i, x, a, b, y)) return;
    if (y_is_product && fuse_scaled_cast(i, y, c, d, x)) return;
    if (x_is_product && y_is_product)
      replace(i, detail::Super::multiply_both_add, {a, b, c, d}, "multiply_both_add", {x, y});
    else if (x_is_product)
      replace(i, detail::Super::multiply_add, {a, b, y}, "multiply_add", {x});
    else if (y_is_product)
      replace(i, detail::Super::multiply_add, {c, d, x}, "multiply_add", {y});
  }
  // cast(a) * b + offset.
  bool fuse_scaled_cast(int i, int product, int a, int b, int offset) {
    if (a == b) return false;
    for (const auto& [from, scale] : {std::pair(a, b), std::pair(b, a)}) {
      if (step(from).kind != TapeStep::Kind::cast || uses_[at(from)] != 1) continue;
      const int source = step(from).args[0];
      const TileFn run =
          table_.cast_scale_offset[static_cast<int>(step(source).type)][static_cast<int>(step(from).type)];
      if (!run) continue;
      calls_[at(i)] = {run, {source, scale, offset}, "cast_scale_offset", nullptr};
      swallow(product);
      swallow(from);
      return true;
    }
    return false;
  }
  void fuse_difference(int i, int x, int y) {
    int a = 0, b = 0;
    if (x == y) return;
    if (is_product(x, a, b))
      replace(i, detail::Super::multiply_subtract, {a, b, y}, "multiply_subtract", {x});
    else if (is_product(y, a, b))
      replace(i, detail::Super::subtract_multiplied, {x, a, b}, "subtract_multiplied", {y});
  }
  void fuse_product(int i, int x, int y) {
    if (x == y) {
      if (is_op(x, Op::subtract) && uses_[at(x)] == 2 && calls_[at(x)].run)
        replace(i, detail::Super::subtract_square, {left(x), right(x)}, "subtract_square", {x});
      return;
    }
    for (const auto& [inner, factor] : {std::pair(x, y), std::pair(y, x)}) {
      if (is_single(inner, Op::subtract)) {
        if (replace(i, detail::Super::subtract_multiply, {left(inner), right(inner), factor},
                    "subtract_multiply", {inner}))
          return;
      } else if (is_single(inner, Op::add)) {
        if (replace(i, detail::Super::add_multiply, {left(inner), right(inner), factor}, "add_multiply",
                    {inner}))
          return;
      }
    }
  }
  void fuse_square(int i, int x) {
    if (is_single(x, Op::subtract))
      replace(i, detail::Super::subtract_square, {left(x), right(x)}, "subtract_square", {x});
  }
  void fuse_select(int i, int condition, int x, int y) {
    const TapeStep& c = step(condition);
    if (c.kind != TapeStep::Kind::op || uses_[at(condition)] != 1 || !calls_[at(condition)].run) return;
    if (c.types.in[0] != step(i).type || c.types.in[1] != step(i).type) return;
    const int a = c.args[0], b = c.args[1 % c.args.size()];
    switch (c.op) {
      case Op::equal:
        replace(i, detail::Super::select_equal, {a, b, x, y}, "select_equal", {condition});
        break;
      case Op::not_equal:
        replace(i, detail::Super::select_not_equal, {a, b, x, y}, "select_not_equal", {condition});
        break;
      case Op::less:
        replace(i, detail::Super::select_less, {a, b, x, y}, "select_less", {condition});
        break;
      case Op::less_equal:
        replace(i, detail::Super::select_less_equal, {a, b, x, y}, "select_less_equal", {condition});
        break;
      case Op::greater:
        replace(i, detail::Super::select_less, {b, a, x, y}, "select_less", {condition});
        break;
      case Op::greater_equal:
        replace(i, detail::Super::select_less_equal, {b, a, x, y}, "select_less_equal", {condition});
        break;
      default:
        break;
    }
  }

  // ---- places

  static std::uint32_t slot_bytes(Type type) {
    return static_cast<std::uint32_t>(round_up(tile_size * item_bytes_of(type), 64));
  }
  std::uint32_t new_slot(Type type) {
    std::vector<std::uint32_t>& free = free_[slot_bytes(type)];
    if (!free.empty()) {
      const std::uint32_t offset = free.back();
      free.pop_back();
      return offset;
    }
    const std::uint32_t offset = static_cast<std::uint32_t>(program_.workspace_bytes_);
    program_.workspace_bytes_ += slot_bytes(type);
    return offset;
  }

  void place() {
    using Space = TileProgram::Operand::Space;
    places_.resize(steps_.size());
    std::vector<int> last_use(steps_.size(), -1);
    for (std::size_t i = 0; i < steps_.size(); ++i)
      for (const int a : calls_[i].args) last_use[at(a)] = static_cast<int>(i);

    // Values computed by a call go straight to the first output that wants them; other outputs are copies.
    std::vector<int> home(steps_.size(), -1);
    for (std::size_t k = 0; k < outputs_.size(); ++k) {
      const TapeStep& s = step(outputs_[k]);
      program_.outputs_.push_back(s.type);
      program_.forwards_.push_back(s.kind == TapeStep::Kind::input ? s.input : -1);
      program_.stand_in_.push_back(TileProgram::no_slot);
      if (calls_[at(outputs_[k])].run && home[at(outputs_[k])] < 0)
        home[at(outputs_[k])] = static_cast<int>(k);
    }
    for (std::size_t i = 0; i < steps_.size(); ++i) {
      if (!live_[i]) continue;
      const TapeStep& s = steps_[i];
      if (s.kind == TapeStep::Kind::input) {
        places_[i] = {Space::input, static_cast<std::uint32_t>(s.input)};
      } else if (s.kind == TapeStep::Kind::constant) {
        places_[i] = {Space::slot, new_slot(s.type)};
        program_.constants_.push_back({places_[i].index, s.type, s.constant});
      }
    }
    for (std::size_t i = 0; i < steps_.size(); ++i) {
      if (!calls_[i].run) continue;
      // The result's slot is taken before the arguments' are given back: a kernel's output overlaps no input.
      places_[i] = home[i] >= 0 ? TileProgram::Operand{Space::output, static_cast<std::uint32_t>(home[i])}
                                : TileProgram::Operand{Space::slot, new_slot(steps_[i].type)};
      emit(calls_[i], places_[i]);
      std::vector<int> args = calls_[i].args;
      std::sort(args.begin(), args.end());
      args.erase(std::unique(args.begin(), args.end()), args.end());
      for (const int a : args)
        if (last_use[at(a)] == static_cast<int>(i) && step(a).kind != TapeStep::Kind::constant &&
            places_[at(a)].space == Space::slot)
          free_[slot_bytes(step(a).type)].push_back(places_[at(a)].index);
    }
    for (std::size_t k = 0; k < outputs_.size(); ++k) {
      const int s = outputs_[k];
      if (home[at(s)] == static_cast<int>(k)) continue;
      emit({cast_kernel(step(s).type, step(s).type), {s}, "copy", nullptr},
           {Space::output, static_cast<std::uint32_t>(k)});
    }
    // An output that other calls read needs memory even when it is skipped.
    for (const TileProgram::Operand& o : program_.operands_)
      if (o.space == Space::output && program_.stand_in_[o.index] == TileProgram::no_slot) {
        program_.stand_in_[o.index] = static_cast<std::uint32_t>(program_.workspace_bytes_);
        program_.workspace_bytes_ += slot_bytes(program_.outputs_[o.index]);
      }
  }

  void emit(const Call& call, TileProgram::Operand out) {
    TileProgram::Instruction instruction;
    instruction.run = call.run;
    instruction.first_operand = static_cast<std::uint32_t>(program_.operands_.size());
    instruction.arity = static_cast<std::uint32_t>(call.args.size());
    instruction.out = out;
    instruction.state = call.state;
    instruction.name = call.name;
    for (const int a : call.args) program_.operands_.push_back(places_[at(a)]);
    program_.instructions_.push_back(std::move(instruction));
  }

  void note_needs() {
    using Space = TileProgram::Operand::Space;
    // Backwards over the places: who reads what was written last.
    std::map<std::uint32_t, std::uint64_t> slots, outputs;
    for (std::size_t i = program_.instructions_.size(); i-- > 0;) {
      TileProgram::Instruction& instruction = program_.instructions_[i];
      std::uint64_t needed;
      if (instruction.out.space == Space::output) {
        needed = outputs[instruction.out.index] | std::uint64_t{1}
                                                      << std::min<std::uint32_t>(instruction.out.index, 63);
      } else {
        needed = slots[instruction.out.index];
        slots[instruction.out.index] = 0;
      }
      instruction.needed_by = needed;
      for (std::uint32_t k = 0; k < instruction.arity; ++k) {
        const TileProgram::Operand& o = program_.operands_[instruction.first_operand + k];
        if (o.space == Space::slot) slots[o.index] |= needed;
        if (o.space == Space::output) outputs[o.index] |= needed;
      }
    }
  }

  const std::vector<TapeStep>& steps_;
  const std::vector<int>& outputs_;
  CompileOptions options_;
  TileProgram& program_;
  const detail::TileTable& table_;
  std::vector<bool> live_;
  std::vector<int> uses_;
  std::vector<Call> calls_;
  std::vector<TileProgram::Operand> places_;
  std::map<std::uint32_t, std::vector<std::uint32_t>> free_;
};

MORSEL_INLINE TileProgram::TileProgram(const Tape& tape, const std::vector<int>& outputs,
                                       CompileOptions options) {
  TileCompiler(tape, outputs, options, *this).compile();
}

MORSEL_INLINE void TileProgram::prepare(void* workspace) const {
  for (const Constant& c : constants_) {
    std::byte* slot = static_cast<std::byte*>(workspace) + c.offset;
    const std::size_t bytes = item_bytes_of(c.type);
    for (std::size_t i = 0; i < tile_size; ++i) std::memcpy(slot + i * bytes, c.element.data(), bytes);
  }
}

MORSEL_INLINE void TileProgram::run(std::size_t n, const void* const* in, void* const* out,
                                    void* workspace) const {
  std::byte* const base = static_cast<std::byte*>(workspace);
  std::uint64_t wanted = 0;
  for (std::size_t k = 0; k < outputs_.size(); ++k)
    if (out[k]) wanted |= std::uint64_t{1} << std::min<std::size_t>(k, 63);
  const auto address_of = [&](Operand o) -> void* {
    if (o.space == Operand::Space::slot) return base + o.index;
    return out[o.index] ? out[o.index] : base + stand_in_[o.index];
  };
  const void* args[max_kernel_arity];
  for (const Instruction& instruction : instructions_) {
    if (!(instruction.needed_by & wanted)) continue;
    if (instruction.out.space == Operand::Space::output && !out[instruction.out.index] &&
        stand_in_[instruction.out.index] == no_slot)
      continue;
    const Operand* operand = operands_.data() + instruction.first_operand;
    for (std::uint32_t k = 0; k < instruction.arity; ++k)
      args[k] = operand[k].space == Operand::Space::input ? in[operand[k].index] : address_of(operand[k]);
    instruction.run(n, address_of(instruction.out), args, instruction.state.get());
  }
}

namespace detail {

MORSEL_INLINE std::string element_text(Type type, const std::byte* element) {
  char text[80];
  if (is_complex(type)) {
    double parts[2];
    if (type == Type::complex128) {
      std::memcpy(parts, element, sizeof parts);
    } else {
      float narrow[2];
      std::memcpy(narrow, element, sizeof narrow);
      parts[0] = static_cast<double>(narrow[0]);
      parts[1] = static_cast<double>(narrow[1]);
    }
    std::snprintf(text, sizeof text, "(%.9g, %.9g)", parts[0], parts[1]);
    return text;
  }
  std::array<std::byte, 16> given{};
  std::memcpy(given.data(), element, item_bytes_of(type));
  const Type wide = is_floating(type)           ? Type::float64
                    : is_unsigned_integer(type) ? Type::uint64
                                                : Type::int64;
  const std::array<std::byte, 16> widened = cast_element(type, given, wide);
  double real;
  std::int64_t integer;
  std::uint64_t natural;
  std::memcpy(&real, widened.data(), 8);
  std::memcpy(&integer, widened.data(), 8);
  std::memcpy(&natural, widened.data(), 8);
  if (wide == Type::float64) return std::snprintf(text, sizeof text, "%.9g", real), text;
  return wide == Type::uint64 ? std::to_string(natural) : std::to_string(integer);
}

}  // namespace detail

MORSEL_INLINE std::string TileProgram::to_string() const {
  std::map<std::uint32_t, std::string> names;
  for (const Constant& c : constants_) names[c.offset] = detail::element_text(c.type, c.element.data());
  std::uint32_t registers = 0;
  const auto numbered = [](const char* prefix, std::uint32_t number) {
    return std::string(prefix).append(std::to_string(number));
  };
  const auto name = [&](Operand o) {
    if (o.space == Operand::Space::input) return numbered("in", o.index);
    if (o.space == Operand::Space::output) return numbered("out", o.index);
    std::string& known = names[o.index];
    if (known.empty()) known = numbered("r", registers++);
    return known;
  };
  std::string text;
  for (const Instruction& instruction : instructions_) {
    text += name(instruction.out) + " = " + instruction.name + "(";
    for (std::uint32_t k = 0; k < instruction.arity; ++k) {
      if (k) text += ", ";
      text += name(operands_[instruction.first_operand + k]);
    }
    text += ")\n";
  }
  return text;
}

}  // namespace morsel::inline MORSEL_ABI
