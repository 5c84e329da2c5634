// One pass over a driver array: ports bring values in, an expression computes tile by tile, stores and
// reductions take the results. A plan is a list of stages; what they exchange are results.
//
//   ports:  source | result | nested expression | concat | map_chunks
//             \________________ box of each port that a step needs ________________/
//                                        |
//                    expression (tape over streams: port + view)
//                                        |
//                     stores (result elements)   reduce groups (leaf states -> tree -> result)
#pragma once

#include <functional>
#include <memory>
#include <morsel/graph/node.hpp>
#include <morsel/io/spill_file.hpp>
#include <morsel/kernel/tape.hpp>
#include <optional>
#include <string>
#include <vector>

namespace morsel::inline MORSEL_ABI {

/// Elements of a port as an expression sees them: position in the expression's shape -> position in the
/// port's array.
struct Stream {
  int port = 0;
  View view;
};

/// An output of an expression: a stream passed on unchanged (any dtype) or an output of the program.
struct ExpressionOutput {
  int stream = -1;
  int program_output = -1;
  DType dtype;
};

/// A compiled elementwise expression over streams.
struct Expression {
  Shape shape;
  std::vector<Stream> streams;  ///< stream i is input i of the program
  TileProgram program;
  std::vector<ExpressionOutput> outputs;
};

/// Where a stage's inputs come from. Ports refer only to ports with lower numbers.
struct Port {
  enum class Kind : std::uint8_t { source, result, expression, concat, map_chunks };
  Kind kind = Kind::source;
  std::string name;
  DType dtype;
  Shape shape;
  Grid grid;
  AnyChunkSource source;          ///< source
  int data = -1;                  ///< source: ports with the same number read the same data
  bool shared = false;            ///< source: chunks are kept while later units need them
  int into_store = -1;            ///< source: chunks are decoded where this store wants them
  int result = -1;                ///< result: which; kept when a spilled result is read as a source
  std::vector<Expression> parts;  ///< expression: one; concat: one per operand; map_chunks: one per input
  int axis = 0;                   ///< concat
  std::vector<Index> begins;      ///< concat: first position of each operand, and the end
  std::shared_ptr<const MapChunksNode> call;  ///< map_chunks
};

/// Elements of an expression output written to a result as they are.
struct ResultStore {
  int output = 0;  ///< of the stage's expression
  int result = 0;
};

/// What becomes of a finished state.
struct Finish {
  ReducerPtr reducer;  ///< its `finish` is applied
  int result = 0;
  bool raw = false;  ///< the state's bytes in place of the finished value
};

/// Reductions of one expression output that share states.
struct StageFold {
  ReducerPtr reducer;  ///< absorbs and merges
  int output = 0;      ///< of the stage's expression
  std::vector<Finish> finishes;
  /// Results whose single values the reducer needs first; then `bind` makes it.
  std::vector<int> parameters;
  std::function<ReducerPtr(const std::vector<double>&)> bind;
};

/// Folds over the same axes: they walk the values together.
struct ReduceGroup {
  std::vector<int> axes;  ///< sorted
  bool trailing = true;  ///< blocks of runs over the trailing axes from `run_begin`; otherwise blocks of rows
  int run_begin = 0;
  bool per_chunk = false;  ///< one result element per leaf
  std::vector<StageFold> folds;
};

struct Stage {
  std::string name;
  int pass = 0;  ///< stages of one pass run side by side; later passes need earlier results
  Shape shape;   ///< of the driver
  Grid grid;     ///< declared: leaves of the reductions
  std::vector<Port> ports;
  Expression expression;  ///< over the driver's positions
  std::vector<ResultStore> stores;
  std::vector<ReduceGroup> groups;
  bool whole_chunks = false;  ///< steps must be declared chunks (map_chunks, visits, sinks)
  bool may_join = false;      ///< ... or several of them, which are written one by one
  bool in_order = false;      ///< tasks go in C order of the chunks (ordered visits)
  Index joined_chunks = 0;    ///< not 0: native chunks are not shared but read in parts, for steps of so many
                              ///< declared chunks

  // How the driver is cut, chosen by lower():
  Grid units;                   ///< what one task does
  Grid steps;                   ///< what a task holds at a time; refines or equals the units
  std::size_t step_bytes = 0;   ///< memory of a task: the largest step
  std::size_t state_bytes = 0;  ///< of that: states of the reductions
  std::size_t tree_bytes = 0;   ///< states that wait between tasks when they run one after another
};

/// An array that stages make.
struct Result {
  std::string name;
  DType dtype;
  Shape shape;
  int output = -1;                   ///< number of the caller's target; -1: between stages
  bool spilled = false;              ///< between stages: in a file rather than in memory
  std::shared_ptr<SpillFile> spill;  ///< the file, if it comes to that
  std::size_t bytes = 0;             ///< booked for it
};

}  // namespace morsel::inline MORSEL_ABI
