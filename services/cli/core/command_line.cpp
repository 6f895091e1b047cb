#include "core/command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <exception>
#include <utility>

#include "larder/base/nearest.h"
#include "larder/base/status.h"

namespace larder::cli {
namespace {

std::string DidYouMean(std::string_view name, const std::vector<std::string>& known) {
  const std::string nearest = base::NearestName(name, known);
  return nearest.empty() ? "(see --help)" : fmt::format("(did you mean {}?)", nearest);
}

bool IsFlag(std::string_view arg) { return arg.size() > 1 && arg.front() == '-'; }

// The common flag that `arg` is, without regard to a value joined to it; null if it is none.
const Flag* CommonFlag(std::string_view arg) {
  const std::string_view name = arg.substr(0, arg.find('='));
  for (const Flag& flag : CommonFlags()) {
    const bool by_letter = flag.letter != 0 && arg.size() >= 2 && arg[1] == flag.letter && arg[0] == '-';
    if (name == flag.name || by_letter) return &flag;
  }
  return nullptr;
}

bool TakesNextWord(const Flag& flag, std::string_view arg) {
  return !flag.value.empty() && arg.find('=') == arg.npos && (arg.starts_with("--") || arg.size() == 2);
}

std::vector<std::string> FirstWords(std::span<const Verb> verbs) {
  std::vector<std::string> words;
  for (const Verb& verb : verbs) {
    std::string word = verb.name.substr(0, verb.name.find(' '));
    if (words.empty() || words.back() != word) words.push_back(std::move(word));
  }
  return words;
}

std::vector<std::string> FlagNames(const Verb* verb) {
  const Verb none;
  std::vector<std::string> names;
  for (const Flag* flag : FlagsOf(verb == nullptr ? none : *verb)) names.push_back(flag->name);
  return names;
}

absl::Status UnknownFlag(const std::string& arg, const Verb* verb) {
  const std::string name = arg.substr(0, arg.find('='));
  const std::string where = verb == nullptr ? "" : verb->name + ": ";
  return base::InvalidArgument("UNKNOWN_FLAG", "{}unknown flag {} {}", where, name, DidYouMean(name, FlagNames(verb)));
}

// The position of the first word that is neither a flag nor a flag's value; args.size() if there is none.
absl::StatusOr<size_t> FindWord(std::span<const std::string> args, size_t from) {
  for (size_t i = from; i < args.size(); ++i) {
    if (!IsFlag(args[i])) return i;
    const Flag* flag = CommonFlag(args[i]);
    if (flag == nullptr) return UnknownFlag(args[i], nullptr);
    if (TakesNextWord(*flag, args[i])) ++i;
  }
  return args.size();
}

// Takes the verb's words out of `args`.
absl::Status TakeVerb(std::span<const Verb> verbs, std::vector<std::string>& args, Command& command) {
  LARDER_ASSIGN_OR_RETURN(const size_t at, FindWord(args, 0));
  if (at == args.size()) return absl::OkStatus();
  std::string name = args[at];
  args.erase(args.begin() + static_cast<ptrdiff_t>(at));
  const auto find = [&] {
    return std::find_if(verbs.begin(), verbs.end(), [&](const Verb& v) { return v.name == name; });
  };
  const auto is_group = [&](const Verb& verb) { return verb.name.starts_with(name + " "); };
  if (find() == verbs.end() && std::any_of(verbs.begin(), verbs.end(), is_group)) {
    LARDER_ASSIGN_OR_RETURN(const size_t second, FindWord(args, at));
    command.group = name;
    if (second == args.size()) return absl::OkStatus();
    name += " " + args[second];
    args.erase(args.begin() + static_cast<ptrdiff_t>(second));
  }
  if (const auto found = find(); found != verbs.end()) {
    command.verb = &*found;
    return absl::OkStatus();
  }
  std::vector<std::string> known = FirstWords(verbs);
  for (const Verb& verb : verbs) known.push_back(verb.name);
  return base::InvalidArgument("UNKNOWN_VERB", "unknown verb {} {}", name, DidYouMean(name, known));
}

// CLI11 takes the next argument where a value is missing, so that `--a= --b` would give --a the value "--b".
absl::Status RefuseMissingValues(std::span<const std::string> args) {
  for (const std::string& arg : args) {
    if (arg.starts_with("--") && arg.find('=') + 1 == arg.size()) {
      return base::InvalidArgument("BAD_VALUE", "{} has no value (see --help)", arg);
    }
  }
  return absl::OkStatus();
}

absl::Status TakeResults(const CLI::Option& option, const Flag& flag, Arguments& arguments) {
  const std::vector<std::string>& results = option.results();
  if (flag.value.empty()) {
    if (!results.empty() && results.back() != "false") arguments.Add(flag.name, "true");
    return absl::OkStatus();
  }
  if (results.size() > 1 && !flag.repeatable) {
    return base::InvalidArgument("BAD_VALUE", "{} is given twice (once is enough)", flag.name);
  }
  for (const std::string& value : results) {
    if (value.starts_with("--")) {
      return base::InvalidArgument("BAD_VALUE", "{} has no value (it takes {})", flag.name, flag.value);
    }
    arguments.Add(flag.name, value);
  }
  return absl::OkStatus();
}

// Flags by CLI11; operands are what it leaves over, since its own positionals are taken for verbs and lists.
absl::Status ParseFlags(const Verb* verb, const std::vector<std::string>& args, Arguments& arguments) {
  CLI::App app;
  app.set_help_flag("");
  app.allow_extras();
  std::vector<std::pair<const Flag*, const CLI::Option*>> options;
  const Verb none;
  for (const Flag* flag : FlagsOf(verb == nullptr ? none : *verb)) {
    const std::string names = flag->letter == 0 ? flag->name : fmt::format("-{},{}", flag->letter, flag->name);
    CLI::Option* option = flag->value.empty() ? app.add_flag(names, flag->help) : app.add_option(names, flag->help);
    option->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)->allow_extra_args(false);
    options.emplace_back(flag, option);
  }
  const auto end = std::find(args.begin(), args.end(), "--");
  // CLI11 wants the last one first.
  app.parse(std::vector<std::string>(std::make_reverse_iterator(end), args.rend()));
  for (const std::string& rest : app.remaining()) {
    if (IsFlag(rest)) return UnknownFlag(rest, verb);
    arguments.operands.push_back(rest);
  }
  if (end != args.end()) arguments.operands.insert(arguments.operands.end(), end + 1, args.end());
  for (const auto& [flag, option] : options) LARDER_RETURN_IF_ERROR(TakeResults(*option, *flag, arguments));
  return absl::OkStatus();
}

absl::Status CheckOperands(const Verb& verb, const Arguments& arguments) {
  const size_t given = arguments.operands.size();
  if (given >= verb.min_operands && given <= verb.max_operands) return absl::OkStatus();
  const std::string_view what = given < verb.min_operands ? "an operand is missing" : "too many operands";
  return base::InvalidArgument("BAD_OPERANDS", "{}: {} (usage: larder {}{}{})", verb.name, what, verb.name,
                               verb.operands.empty() ? "" : " ", verb.operands);
}

}  // namespace

absl::StatusOr<Command> ParseCommandLine(std::span<const Verb> verbs, std::span<const std::string> args) {
  Command command;
  std::vector<std::string> rest(args.begin(), args.end());
  LARDER_RETURN_IF_ERROR(TakeVerb(verbs, rest, command));
  LARDER_RETURN_IF_ERROR(RefuseMissingValues(rest));
  try {
    LARDER_RETURN_IF_ERROR(ParseFlags(command.verb, rest, command.arguments));
  } catch (const std::exception& error) {
    return base::InvalidArgument("BAD_VALUE", "{} (see --help)", error.what());
  }
  command.help = command.arguments.Has("--help");
  command.version = command.arguments.Has("--version");
  if (command.help || command.version) return command;
  if (command.verb == nullptr) {
    return base::InvalidArgument("UNKNOWN_VERB", "no verb is given (see larder {}{}--help)", command.group,
                                 command.group.empty() ? "" : " ");
  }
  LARDER_RETURN_IF_ERROR(CheckOperands(*command.verb, command.arguments));
  return command;
}

}  // namespace larder::cli
