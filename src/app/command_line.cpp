#include "command_line.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <exception>
#include <functional>
#include <morsel/base/warning.hpp>
#include <morsel/ext/all.hpp>
#include <new>
#include <sstream>
#include <utility>

#include "commands.hpp"
#include "damage_report.hpp"
#include "interrupt.hpp"

namespace morsel::app {
namespace {

using Action = std::function<void(Session&)>;

/// Values on their way past the option parser, which must not look into them: "-a + b" and "-1:" are no
/// options, "[0]" is no list. The parser sees tokens in their place.
class Shield {
 public:
  std::string token(std::string value) {
    values_.push_back(std::move(value));
    return mark + std::to_string(values_.size() - 1) + mark;
  }
  /// The text with every token replaced by its value.
  std::string reveal(const std::string& text) const {
    std::string out;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t begin = text.find(mark, at),
                        end = begin == std::string::npos ? begin : text.find(mark, begin + 1);
      if (end == std::string::npos) return out + text.substr(at);
      out += text.substr(at, begin - at) + values_[std::stoul(text.substr(begin + 1, end - begin - 1))];
      at = end + 1;
    }
    return out;
  }

 private:
  static constexpr char mark = '\x01';
  std::vector<std::string> values_;
};

/// Everything that one parse fills in.
struct Parsed {
  Shield shield;
  Session session;
  std::string source, slice, axes, out, chunks, shards, codec, target, expression;
  std::string other, relative, absolute, format, fill_value, region, append;
  std::vector<std::string> inputs;
  PartArguments part;
  bool overwrite = false, resume = false, skip_unsupported = false, functions = false, version = false;
  bool progress_on = false, progress_off = false;
  Action action;

  /// Turns the tokens back into values.
  void reveal() {
    for (std::string* text : {&session.memory, &session.threads, &session.trace, &session.dataset,
                              &source,         &slice,           &axes,          &out,
                              &chunks,         &shards,          &codec,         &target,
                              &expression,     &other,           &relative,      &absolute,
                              &format,         &fill_value,      &region,        &append})
      *text = shield.reveal(*text);
    for (std::string& input : inputs) input = shield.reveal(input);
    for (std::string& selection : part.selections) selection = shield.reveal(selection);
  }
};

void add_common(CLI::App& command, Parsed& parsed) {
  command.add_option("--memory", parsed.session.memory, "Budget for all buffers, such as 256MiB")
      ->type_name("BYTES");
  command.add_option("--threads", parsed.session.threads, "Threads, all cores by default")->type_name("N");
  CLI::Option* on =
      command.add_flag("--progress", parsed.progress_on, "Show progress, also where stderr is no terminal");
  command.add_flag("--no-progress", parsed.progress_off, "Never show progress")->excludes(on);
  command.add_option("--trace", parsed.session.trace, "Write a Chrome trace of the run")->type_name("FILE");
  command.add_option("--dataset", parsed.session.dataset, "Path inside the container SRC")->type_name("PATH");
  command.add_flag("--json", parsed.session.json, "Print one JSON object");
}

void add_part(CLI::App& command, Parsed& parsed) {
  command
      .add_option("--sel", parsed.part.selections,
                  "Part by coordinates, once per axis: lat=30..60, time=2001-06, lon=~12.5 (the nearest)")
      ->type_name("NAME=VALUE")
      ->allow_extra_args(false);
  command.add_flag("--mask-and-scale", parsed.part.mask_and_scale,
                   "Values for packed numbers: scale_factor, add_offset, _FillValue and others of CF");
}

void add_get(CLI::App& parent, Parsed& parsed) {
  CLI::App* command = parent.add_subcommand("get", "Write or print an array or a part of it");
  command->add_option("SRC", parsed.source, "File, or a path on inside a container")
      ->required()
      ->type_name("");
  command->add_option("SLICE", parsed.slice, "Part of it, such as '0:10, ..., ::2'")->type_name("");
  command->add_option("-o,--out", parsed.out, "Target .npy, .csv, .zarr or .h5; - prints")->type_name("OUT");
  add_part(*command, parsed);
  add_common(*command, parsed);
  command->callback([&parsed] {
    parsed.action = [&parsed](Session& session) {
      get(session, {parsed.source, parsed.slice, parsed.out, parsed.part});
    };
  });
}

void add_stats(CLI::App& parent, Parsed& parsed) {
  CLI::App* command =
      parent.add_subcommand("stats", "count, nan_count, min, max, mean, stddev, sum in one pass");
  command->add_option("SRC", parsed.source, "File, or a path on inside a container")
      ->required()
      ->type_name("");
  command->add_option("SLICE", parsed.slice, "Part of it, such as '0:10, ..., ::2'")->type_name("");
  command->add_option("--axis", parsed.axes, "Axes to reduce, numbers or names such as 0,2; all by default")
      ->type_name("N,...");
  add_part(*command, parsed);
  add_common(*command, parsed);
  command->callback([&parsed] {
    parsed.action = [&parsed](Session& session) {
      stats(session, {parsed.source, parsed.slice, parsed.axes, parsed.part});
    };
  });
}

void add_eval(CLI::App& parent, Parsed& parsed) {
  CLI::App* command = parent.add_subcommand("eval", "Compute an expression of arrays");
  command->add_option("EXPR", parsed.expression, "Such as 'mean((t - t0) ** 2, axis=0)'")->type_name("");
  command->add_option("INPUT", parsed.inputs, "Arrays by name: name=SRC")->type_name("");
  command->add_option("-o,--out", parsed.out, "Target .npy, .csv, .zarr or .h5; prints without")
      ->type_name("OUT");
  command->add_option("--chunks", parsed.chunks, "Chunks to compute in, such as 100,100,-1 or 64MiB")
      ->type_name("CHUNKS");
  command->add_flag("--functions", parsed.functions, "List the functions of expressions");
  add_part(*command, parsed);
  add_common(*command, parsed);
  command->callback([&parsed] {
    parsed.action = [&parsed](Session& session) {
      eval(session,
           {parsed.expression, parsed.inputs, parsed.out, parsed.chunks, parsed.functions, parsed.part});
    };
  });
}

void add_copy(CLI::App& parent, Parsed& parsed) {
  CLI::App* command =
      parent.add_subcommand("copy", "Convert an array or a whole container to another format");
  command->add_option("SRC", parsed.source, "File, or a path on inside a container")
      ->required()
      ->type_name("");
  command
      ->add_option("DST", parsed.target, "Target .npy, .csv, .zarr or .h5, or a path on inside the last two")
      ->required()
      ->type_name("");
  const auto add = [&](const char* name, std::string& value, const char* type, const char* what) {
    command->add_option(name, value, what)->type_name(type);
  };
  add("--chunks", parsed.chunks, "CHUNKS",
      "Chunks of the target, such as 100,100,-1 or 64MiB; SRC's by default");
  add("--shards", parsed.shards, "SHARDS", "Chunks stored together as one value, or none; SRC's by default");
  add("--codec", parsed.codec, "CODEC", "Such as zstd:3, blosc-lz4:5:shuffle or none; SRC's by default");
  add("--format", parsed.format, "FORMAT", "zarr3 (the default) or zarr2");
  add("--fill-value", parsed.fill_value, "VALUE", "Of chunks that are not stored: 0, NaN, [0,1]");
  add("--region", parsed.region, "SLICE", "Write into this part of an array that is there");
  add("--append", parsed.append, "AXIS", "Extend an array that is there, along an axis by number or name");
  command->add_flag("--overwrite", parsed.overwrite, "Replace an existing target");
  command->add_flag("--resume", parsed.resume, "Finish a copy that was interrupted");
  command->add_flag("--skip-unsupported", parsed.skip_unsupported,
                    "Of a container: leave out arrays that cannot be read, and list them");
  add_common(*command, parsed);
  command->callback([&parsed] {
    parsed.action = [&parsed](Session& session) {
      CopyArguments arguments;
      arguments.source = parsed.source;
      arguments.target = parsed.target;
      arguments.storage = {parsed.chunks, parsed.shards, parsed.codec, parsed.format, parsed.fill_value};
      arguments.region = parsed.region;
      arguments.append = parsed.append;
      arguments.overwrite = parsed.overwrite;
      arguments.resume = parsed.resume;
      arguments.skip_unsupported = parsed.skip_unsupported;
      copy(session, arguments);
    };
  });
}

void add_diff(CLI::App& parent, Parsed& parsed) {
  CLI::App* command =
      parent.add_subcommand("diff", "What two arrays or containers, of any formats, differ in");
  command->add_option("A", parsed.source, "File, or a path on inside a container")->required()->type_name("");
  command->add_option("B", parsed.other, "What to compare it with")->required()->type_name("");
  command
      ->add_option("--rtol", parsed.relative,
                   "Numbers are equal if |a - b| <= ATOL + RTOL * |b|; 0 by default: only equal ones")
      ->type_name("RTOL");
  command->add_option("--atol", parsed.absolute, "See --rtol")->type_name("ATOL");
  add_common(*command, parsed);
  command->footer(
      "NaN equals NaN and -0 equals 0. Another shape or dtype is a difference, also where all values are "
      "equal; byte order, chunks and codecs are none.\n"
      "Exit code: 0 equal, 1 different, 2 trouble.");
  command->callback([&parsed] {
    parsed.session.failure_code = 2;
    parsed.action = [&parsed](Session& session) {
      diff(session, {parsed.source, parsed.other, parsed.relative, parsed.absolute});
    };
  });
}

void add_plain(CLI::App& parent, Parsed& parsed, const char* name, const char* description,
               void (*run)(Session&, const std::string&)) {
  CLI::App* command = parent.add_subcommand(name, description);
  command->add_option("SRC", parsed.source, "File, or a path on inside a container")
      ->required()
      ->type_name("");
  add_common(*command, parsed);
  command->callback(
      [&parsed, run] { parsed.action = [&parsed, run](Session& session) { run(session, parsed.source); }; });
}

void add_commands(CLI::App& app, Parsed& parsed) {
  app.require_subcommand(1);
  app.add_flag("--version", parsed.version, "Print version, formats and codecs");
  add_plain(app, parsed, "info", "Shape, dtype, chunks, codecs, attributes", info);
  add_plain(app, parsed, "tree", "The hierarchy of a container", tree);
  add_stats(app, parsed);
  add_get(app, parsed);
  add_eval(app, parsed);
  add_copy(app, parsed);
  add_diff(app, parsed);
  CLI::App* explain =
      app.add_subcommand("explain", "The plan of get, stats, eval or copy, without running it");
  explain->require_subcommand(1);
  explain->callback([&parsed] { parsed.session.explain = true; });
  for (const auto add : {add_stats, add_get, add_eval, add_copy}) add(*explain, parsed);
  CLI::App* doctor_command =
      app.add_subcommand("doctor", "Versions, components, limits and the environment in force");
  add_common(*doctor_command, parsed);
  doctor_command->callback([&parsed] { parsed.action = doctor; });
}

bool is_flag(const CLI::Option& option) { return option.get_expected_max() == 0; }

/// "--name" or "--name=value" as typed: letters and dashes only.
bool looks_like_option(const std::string& argument) {
  if (argument.size() == 2 && argument[0] == '-')
    return argument[1] != '-' && (argument[1] < '0' || argument[1] > '9');
  if (argument.size() < 4 || argument.compare(0, 2, "--") != 0) return false;
  const std::string name = argument.substr(2, argument.find('=') - 2);
  return name.find_first_not_of("abcdefghijklmnopqrstuvwxyz-") == std::string::npos && name[0] != '-';
}

CLI::App* subcommand_of(CLI::App& app, const std::string& name) {
  for (CLI::App* command : app.get_subcommands([](CLI::App*) { return true; }))
    if (command->get_name() == name) return command;
  return nullptr;
}

/// "stats, get, eval or copy"
std::string subcommand_names(const CLI::App& app) {
  std::string names, last;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (!last.empty()) names += (names.empty() ? "" : ", ") + last;
    last = command->get_name();
  }
  return names + " or " + last;
}

/// The command line with every value replaced by a token, options before the subcommand moved behind it.
std::vector<std::string> shielded(CLI::App& app, const std::vector<std::string>& arguments, Shield& shield) {
  // 1. Which subcommand? Options of all subcommands may stand before it.
  CLI::App* command = &app;
  const CLI::App* any = app.get_subcommand("get");
  std::vector<std::string> names, rest;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    CLI::App* next =
        command == &app || command->get_name() == "explain" ? subcommand_of(*command, argument) : nullptr;
    if (next) {
      command = next;
      names.push_back(argument);
      if (command->get_name() != "explain") {
        rest.insert(rest.end(), arguments.begin() + static_cast<std::ptrdiff_t>(i) + 1, arguments.end());
        break;
      }
      continue;
    }
    const CLI::Option* option = any->get_option_no_throw(argument);
    rest.push_back(argument);
    if (option && !is_flag(*option) && i + 1 < arguments.size()) rest.push_back(arguments[++i]);
  }
  // 2. Tokens for values and positional arguments.
  const bool is_eval = command->get_name() == "eval";
  bool has_expression = false, only_positional = false;
  std::vector<std::string> out = names, positional;
  // -h is help, but the negative of h where h=SRC is given.
  const auto is_negated_input = [&](const std::string& argument) {
    return is_eval && !has_expression && argument.size() == 2 && argument[0] == '-' &&
           std::any_of(rest.begin(), rest.end(), [&](const std::string& other) {
             return other.size() > 1 && other[0] == argument[1] && other[1] == '=';
           });
  };
  for (std::size_t i = 0; i < rest.size(); ++i) {
    const std::string& argument = rest[i];
    if (!only_positional && argument == "--") {
      only_positional = true;
      continue;
    }
    const std::size_t equals = argument.compare(0, 2, "--") == 0 ? argument.find('=') : std::string::npos;
    const CLI::Option* option =
        !only_positional && !is_negated_input(argument) && argument.size() > 1 && argument[0] == '-'
            ? command->get_option_no_throw(argument.substr(0, equals))
            : nullptr;
    if (option) {
      out.push_back(argument.substr(0, equals));
      if (is_flag(*option)) {
        if (equals != std::string::npos)
          throw UsageError(argument + ": takes no value; expected " + out.back() + " alone");
      } else if (equals != std::string::npos) {
        out.push_back(shield.token(argument.substr(equals + 1)));
      } else if (i + 1 < rest.size()) {
        out.push_back(shield.token(rest[++i]));
      } else {
        throw UsageError(argument + ": its value is missing; expected one behind it");
      }
      continue;
    }
    if (!only_positional && argument == "--version" && command == &app) {
      out.push_back(argument);
      continue;
    }
    const bool may_be_expression = is_eval && !has_expression;
    if (!only_positional && argument.size() > 1 && argument[0] == '-') {
      // -oOUT, but not where it may be an expression.
      if (!may_be_expression && argument.compare(0, 2, "-o") == 0 && command->get_option_no_throw("-o")) {
        out.push_back("-o");
        out.push_back(shield.token(argument.substr(2)));
        continue;
      }
      if (looks_like_option(argument) && !(may_be_expression && argument.size() == 2))
        throw UsageError("unknown option " + argument + "; expected one that `morsel " +
                         (names.empty() ? std::string() : names.back() + " ") + "--help` lists");
    }
    has_expression = true;
    positional.push_back(shield.token(argument));
  }
  if (command == &app || command->get_name() == "explain") {
    // The parser says what is missing; a wrong word is named here.
    if (!positional.empty())
      throw UsageError((command == &app ? "" : "explain: ") + std::string("unknown command '") +
                       shield.reveal(positional[0]) + "'; expected " + subcommand_names(*command));
  }
  out.insert(out.end(), positional.begin(), positional.end());
  return out;
}

/// Refuses environment variables that make no sense, whatever the subcommand would do with them.
void read_environment() {
  Workspace::process();
  simd_level();
}

int report(Session& session, int code, const std::string& message) {
  session.clear_progress();
  const std::string line = "morsel: " + one_line(message) + "\n";
  std::fwrite(line.data(), 1, line.size(), stderr);
  return code;
}

/// Keeps the warning that a trace was asked for and not written; the other warnings of the library are not
/// told.
class TraceWarning {
 public:
  TraceWarning()
      : former_(set_warning_handler([this](std::string_view name, std::string_view message) {
          if (name == "no_trace") text_ = message;
        })) {}
  TraceWarning(const TraceWarning&) = delete;
  TraceWarning& operator=(const TraceWarning&) = delete;
  ~TraceWarning() { set_warning_handler(std::move(former_)); }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
  WarningHandler former_;
};

}  // namespace

int run_command(const std::vector<std::string>& arguments) {
  for (const int signal : {SIGPIPE, SIGXFSZ}) std::signal(signal, SIG_IGN);  // EPIPE and EFBIG instead
  enable_all();
  report_crashes_in_libhdf5();
  Interrupt interrupt;
  Parsed parsed;
  parsed.session.stop = interrupt.token();
  CLI::App app("Lazy chunked arrays: look at, compute and convert files that need not fit into memory",
               "morsel");
  try {
    add_commands(app, parsed);
    try {
      std::vector<std::string> tokens = shielded(app, arguments, parsed.shield);
      if (!tokens.empty() && tokens[0] == "--version") {
        parsed.session.out << version_text();
        parsed.session.out.flush();
        return 0;
      }
      std::reverse(tokens.begin(), tokens.end());  // CLI11 takes them from the back
      app.parse(tokens);
    } catch (const CLI::ParseError& error) {
      std::ostringstream out, err;
      if (app.exit(error, out, err) != 0)
        throw UsageError(parsed.shield.reveal(error.what()) + "; expected what `morsel --help` shows");
      parsed.session.out << out.str();
      parsed.session.out.flush();
      return 0;
    }
    parsed.reveal();
    if (parsed.progress_on || parsed.progress_off) parsed.session.progress = parsed.progress_on;
    read_environment();
    const TraceWarning no_trace;
    parsed.action(parsed.session);
    parsed.session.out.flush();
    if (!no_trace.text().empty())
      return report(parsed.session, parsed.session.failure_code, no_trace.text() + "; all else is done");
    return parsed.session.exit_code;
  } catch (const UsageError& error) {
    return report(parsed.session, 2, error.what());
  } catch (const Error& error) {
    if (interrupt.signal() != 0)
      return report(parsed.session, interrupt.exit_code(), "interrupted; " + parsed.session.left_behind);
    return report(parsed.session, parsed.session.failure_code, error.what());
  } catch (const std::bad_alloc&) {
    return report(parsed.session, parsed.session.failure_code,
                  "out of memory: the system refused an allocation; expected a smaller result or --memory");
  } catch (const std::exception& error) {
    return report(parsed.session, parsed.session.failure_code,
                  std::string("internal error: ") + error.what());
  }
}

}  // namespace morsel::app
