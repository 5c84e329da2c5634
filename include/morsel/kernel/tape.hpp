// An elementwise expression as a list of steps, and the compiled program that runs it tile by tile.
//
//   Tape (what: inputs, constants, ops, casts, user kernels)  --compile-->  TileProgram (how: function
//   pointers, registers in L1)  --run-->  a tile of up to `tile_size` elements of each output
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <morsel/kernel/impl/tile_table.hpp>
#include <morsel/kernel/op.hpp>
#include <string>
#include <unordered_map>
#include <vector>

namespace morsel::inline MORSEL_ABI {

/// Elements a register holds. 256 of 8 bytes: the best of 128 .. 1024 measured when a program streams from
/// memory.
inline constexpr std::size_t tile_size = 256;

/// Arguments a user kernel may take.
inline constexpr std::size_t max_kernel_arity = 16;

/// A kernel made from a user's function: `state` is the function object, `run` the loop around it.
struct UserKernel {
  std::string name;
  std::shared_ptr<const void> state;
  TileFn run = nullptr;
  std::vector<Type> in;
  Type result{};
};

/// One step; its number is its position in the tape.
struct TapeStep {
  enum class Kind : std::uint8_t { input, constant, op, cast, user };
  Kind kind = Kind::input;
  Type type{};                           ///< dtype of the value this step gives
  int input = 0;                         ///< input: which
  std::array<std::byte, 16> constant{};  ///< constant: one element of `type`
  Op op{};                               ///< op: applied to args converted to `types.in`
  OpTypes types{};
  std::vector<int> args;  ///< op, cast, user: numbers of earlier steps, of exactly the dtypes wanted
  std::shared_ptr<const UserKernel> user;
};

/// An elementwise expression over numeric inputs. Steps only refer to earlier steps. Equal steps are entered
/// once, but for user kernels, which need not be pure.
class Tape {
 public:
  int input(int number, Type type);
  int constant(Type type, const void* element);
  /// `op` on steps of any numeric dtypes; casts are put in as resolve_op asks. **Fails**: dtype_mismatch.
  int apply(Op op, const std::vector<int>& args);
  int cast(int step, Type to);  ///< the step itself if it has that dtype already
  int user(std::shared_ptr<const UserKernel> kernel, const std::vector<int>& args);
  /// step ** exponent in the step's dtype (bool: int8): 1/x, 1, sqrt, x and x * x for -1, 0, 0.5, 1 and 2.
  /// **Fails**: invalid_argument for an integer step and an exponent that is not an integer >= 0 the dtype
  /// holds.
  int power(int step, double exponent);

  const std::vector<TapeStep>& steps() const { return steps_; }
  Type type_of_step(int step) const { return steps_[static_cast<std::size_t>(step)].type; }

 private:
  int enter(TapeStep step);
  std::vector<TapeStep> steps_;
  std::unordered_multimap<std::size_t, int> known_;  ///< steps by a hash of what they are
  std::unordered_map<int, Type> input_types_;
};

struct CompileOptions {
  bool super_instructions = true;  ///< off gives the same bits, slower
};

/// A tape compiled for the SIMD level in force: immutable, shared by all threads. Each thread brings a
/// workspace.
///
/// float16 is computed in float and rounded at once after every operation. Dead steps are dropped; registers
/// are reused. Super-instructions merge loads, never roundings.
class TileProgram {
 public:
  TileProgram() = default;
  /// Program for the values of `outputs` (step numbers). Steps that no output needs cost nothing.
  TileProgram(const Tape& tape, const std::vector<int>& outputs, CompileOptions options = {});

  std::size_t input_count() const { return inputs_.size(); }
  const std::vector<Type>& inputs() const { return inputs_; }  ///< dtype of input i; unused ones are not read
  bool uses_input(std::size_t i) const { return used_[i]; }
  const std::vector<Type>& outputs() const { return outputs_; }
  /// True if output k is input i unchanged (then `run` need not be called for it); i or -1.
  int forwards_input(std::size_t output) const { return forwards_[output]; }
  std::size_t workspace_bytes() const { return workspace_bytes_; }
  /// Fills constants into a fresh workspace (64-byte aligned); once per thread and task.
  void prepare(void* workspace) const;
  /// Computes n <= tile_size elements: in[i] contiguous of inputs()[i], out[k] contiguous of outputs()[k] or
  /// null to skip. Outputs may not overlap inputs. Exceptions of user kernels pass through.
  void run(std::size_t n, const void* const* in, void* const* out, void* workspace) const;
  /// One instruction a line, for explain() and tests.
  std::string to_string() const;
  /// Kernels called per tile; super-instructions make it smaller.
  std::size_t instruction_count() const { return instructions_.size(); }

 private:
  struct Operand {
    enum class Space : std::uint8_t { input, slot, output } space = Space::slot;
    std::uint32_t index = 0;  ///< input number, byte offset in the workspace, or output number
  };
  struct Instruction {
    TileFn run = nullptr;
    std::uint32_t first_operand = 0, arity = 0;  ///< in operands_
    Operand out;
    std::uint64_t needed_by = 0;  ///< bit k: output k needs it (bit 63: output 63 or a later one)
    std::shared_ptr<const void> state;
    std::string name;
  };
  struct Constant {
    std::uint32_t offset = 0;
    Type type{};
    std::array<std::byte, 16> element{};
  };
  friend class TileCompiler;
  static constexpr std::uint32_t no_slot = 0xffffffffu;

  std::vector<Type> inputs_, outputs_;
  std::vector<bool> used_;
  std::vector<int> forwards_;
  std::vector<Instruction> instructions_;
  std::vector<Operand> operands_;
  std::vector<Constant> constants_;
  std::vector<std::uint32_t>
      stand_in_;  ///< offset of the slot that takes output k's place when it is skipped
  std::size_t workspace_bytes_ = 0;
};

/// The conversion kernel from one numeric dtype to another at the SIMD level in force. Float to integer
/// truncates, saturates out of range, NaN gives 0. Complex to real drops the imaginary part.
TileFn cast_kernel(Type from, Type to);

/// The kernel of an operation at the SIMD level in force; null where resolve_op would not lead. The kernel of
/// integer pow throws invalid_argument at a negative exponent.
TileFn op_kernel(Op op, const OpTypes& types);

}  // namespace morsel::inline MORSEL_ABI

#if defined(MORSEL_HEADER_ONLY)
#include <morsel/kernel/impl/tape.ipp>
#endif
