#include "command_line.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <exception>
#include <functional>
#include <new>
#include <sstream>

#include "commands.hpp"
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
  std::vector<std::string> inputs;
  bool overwrite = false, functions = false, version = false;
  bool progress_on = false, progress_off = false;
  Action action;

  /// Turns the tokens back into values.
  void reveal() {
    for (std::string* text : {&session.memory, &session.threads, &session.trace, &session.dataset, &source,
                              &slice, &axes, &out, &chunks, &shards, &codec, &target, &expression})
      *text = shield.reveal(*text);
    for (std::string& input : inputs) input = shield.reveal(input);
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

void add_get(CLI::App& parent, Parsed& parsed) {
  CLI::App* command = parent.add_subcommand("get", "Write or print an array or a part of it");
  command->add_option("SRC", parsed.source, "File, or a path on inside a container")
      ->required()
      ->type_name("");
  command->add_option("SLICE", parsed.slice, "Part of it, such as '0:10, ..., ::2'")->type_name("");
  command->add_option("-o,--out", parsed.out, "Target .npy or .csv; - prints")->type_name("OUT");
  add_common(*command, parsed);
  command->callback([&parsed] {
    parsed.action = [&parsed](Session& session) { get(session, {parsed.source, parsed.slice, parsed.out}); };
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
  add_common(*command, parsed);
  command->callback([&parsed] {
    parsed.action = [&parsed](Session& session) {
      stats(session, {parsed.source, parsed.slice, parsed.axes});
    };
  });
}

void add_eval(CLI::App& parent, Parsed& parsed) {
  CLI::App* command = parent.add_subcommand("eval", "Compute an expression of arrays");
  command->add_option("EXPR", parsed.expression, "Such as 'mean((t - t0) ** 2, axis=0)'")->type_name("");
  command->add_option("INPUT", parsed.inputs, "Arrays by name: name=SRC")->type_name("");
  command->add_option("-o,--out", parsed.out, "Target .npy or .csv; prints without")->type_name("OUT");
  command->add_option("--chunks", parsed.chunks, "Chunks to compute in, such as 100,100,-1 or 64MiB")
      ->type_name("CHUNKS");
  command->add_flag("--functions", parsed.functions, "List the functions of expressions");
  add_common(*command, parsed);
  command->callback([&parsed] {
    parsed.action = [&parsed](Session& session) {
      eval(session, {parsed.expression, parsed.inputs, parsed.out, parsed.chunks, parsed.functions});
    };
  });
}

void add_copy(CLI::App& parent, Parsed& parsed) {
  CLI::App* command = parent.add_subcommand("copy", "Convert an array to another file");
  command->add_option("SRC", parsed.source, "File, or a path on inside a container")
      ->required()
      ->type_name("");
  command->add_option("DST", parsed.target, "Target .npy or .csv")->required()->type_name("");
  command
      ->add_option("--chunks", parsed.chunks,
                   "Chunks, where the target has them, such as 100,100,-1 or 64MiB")
      ->type_name("CHUNKS");
  command->add_option("--shards", parsed.shards, "Shards, where the target has them")->type_name("SHARDS");
  command->add_option("--codec", parsed.codec, "Codec, where the target has them, such as zstd:3")
      ->type_name("CODEC");
  command->add_flag("--overwrite", parsed.overwrite, "Replace an existing target");
  add_common(*command, parsed);
  command->callback([&parsed] {
    parsed.action = [&parsed](Session& session) {
      copy(session,
           {parsed.source, parsed.target, parsed.chunks, parsed.shards, parsed.codec, parsed.overwrite});
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

}  // namespace

int run_command(const std::vector<std::string>& arguments) {
  for (const int signal : {SIGPIPE, SIGXFSZ}) std::signal(signal, SIG_IGN);  // EPIPE and EFBIG instead
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
    parsed.action(parsed.session);
    parsed.session.out.flush();
    return 0;
  } catch (const UsageError& error) {
    return report(parsed.session, 2, error.what());
  } catch (const Error& error) {
    if (interrupt.signal() != 0)
      return report(parsed.session, interrupt.exit_code(), "interrupted; nothing was written");
    return report(parsed.session, 1, error.what());
  } catch (const std::bad_alloc&) {
    return report(parsed.session, 1,
                  "out of memory: the system refused an allocation; expected a smaller result or --memory");
  } catch (const std::exception& error) {
    return report(parsed.session, 1, std::string("internal error: ") + error.what());
  }
}

}  // namespace morsel::app
