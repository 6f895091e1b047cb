#include "core/completion.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <vector>

namespace larder::cli {
namespace {

using Words = std::vector<std::string>;

std::string Joined(const Words& words) { return fmt::format("{}", fmt::join(words, " ")); }

// The verbs' first words; below a group, the second ones.
Words WordsBelow(std::span<const Verb> verbs, const std::string& group) {
  Words words;
  for (const Verb& verb : verbs) {
    if (!group.empty() && !verb.name.starts_with(group + " ")) continue;
    const std::string rest = group.empty() ? verb.name : verb.name.substr(group.size() + 1);
    std::string word = rest.substr(0, rest.find(' '));
    if (std::find(words.begin(), words.end(), word) == words.end()) words.push_back(std::move(word));
  }
  return words;
}

Words Groups(std::span<const Verb> verbs) {
  std::set<std::string> groups;
  for (const Verb& verb : verbs) {
    if (const size_t space = verb.name.find(' '); space != verb.name.npos) groups.insert(verb.name.substr(0, space));
  }
  return {groups.begin(), groups.end()};
}

Words FlagWords(const Verb& verb) {
  Words words;
  for (const Flag* flag : FlagsOf(verb)) {
    words.push_back(flag->name);
    if (flag->letter != 0) words.push_back(fmt::format("-{}", flag->letter));
  }
  return words;
}

std::string Pattern(const Flag& flag) {
  return flag.letter == 0 ? flag.name : fmt::format("{}|-{}", flag.name, flag.letter);
}

// Flags with a value, of all verbs: the word after one is not the verb.
std::string ValueFlagPattern(std::span<const Verb> verbs) {
  std::set<std::string> patterns;
  for (const Verb& verb : verbs) {
    for (const Flag* flag : FlagsOf(verb)) {
      if (!flag->value.empty()) patterns.insert(Pattern(*flag));
    }
  }
  return fmt::format("{}", fmt::join(patterns, "|"));
}

// What bash's compgen offers for a value.
std::string Compgen(Complete complete, const Words& choices) {
  if (!choices.empty()) return fmt::format("-W '{}'", Joined(choices));
  return complete == Complete::kFile ? "-f" : complete == Complete::kDir ? "-d" : "";
}

// A case of bash for one verb: values of flags first, then flags, then operands.
std::string BashCase(const Verb& verb) {
  std::string values;
  for (const Flag* flag : FlagsOf(verb)) {
    if (flag->value.empty()) continue;
    values += fmt::format("        {}) _larder_reply {}; return ;;\n", Pattern(*flag),
                          Compgen(flag->complete, flag->choices));
  }
  const std::string operands = Compgen(verb.complete, verb.choices);
  return fmt::format(
      "    '{}')\n"
      "      case $before in\n{}      esac\n"
      "      if [[ $word == -* ]]; then _larder_reply -W '{}'; else _larder_reply {}; fi ;;\n",
      verb.name, values, Joined(FlagWords(verb)), operands);
}

// Text between single quotes of a shell.
std::string Quoted(std::string_view text) {
  std::string quoted;
  for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted;
}

// In a description of zsh's _arguments, brackets and colons have a meaning.
std::string ZshText(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '[' || c == ']' || c == ':' || c == '\\') escaped += '\\';
    escaped += c;
  }
  return Quoted(escaped);
}

std::string ZshAction(Complete complete, const Words& choices) {
  if (!choices.empty()) return fmt::format("({})", ZshText(Joined(choices)));
  return complete == Complete::kFile ? "_files" : complete == Complete::kDir ? "_files -/" : " ";
}

std::string ZshFlag(const Flag& flag) {
  const std::string tail =
      flag.value.empty() ? "" : fmt::format(":{}:{}", ZshText(flag.value), ZshAction(flag.complete, flag.choices));
  const std::string star = flag.repeatable ? "*" : "";
  std::string text = fmt::format(" \\\n        '{}{}[{}]{}'", star, flag.name, ZshText(flag.help), tail);
  if (flag.letter != 0) text += fmt::format(" \\\n        '-{}[{}]{}'", flag.letter, ZshText(flag.help), tail);
  return text;
}

std::string ZshCase(const Verb& verb) {
  std::string text = fmt::format("    '{}') _arguments", verb.name);
  for (const Flag* flag : FlagsOf(verb)) text += ZshFlag(*flag);
  if (!verb.operands.empty()) {
    text += fmt::format(" \\\n        '*:{}:{}'", ZshText(verb.operands), ZshAction(verb.complete, verb.choices));
  }
  return text + " ;;\n";
}

std::string FishFlag(const std::string& condition, const Flag& flag) {
  std::string line = fmt::format("complete -c larder -n '{}' -l {}", condition, flag.name.substr(2));
  if (flag.letter != 0) line += fmt::format(" -s {}", flag.letter);
  if (!flag.value.empty()) line += " -r";
  if (!flag.choices.empty()) line += fmt::format(" -f -a '{}'", Joined(flag.choices));
  if (flag.complete != Complete::kNothing) line += " -F";
  return fmt::format("{} -d '{}'\n", line, Quoted(flag.help));
}

}  // namespace

std::string BashCompletion(std::span<const Verb> verbs) {
  std::string groups;
  for (const std::string& group : Groups(verbs)) {
    groups += fmt::format("    '{}') _larder_reply -W '{}' ;;\n", group, Joined(WordsBelow(verbs, group)));
  }
  std::string cases;
  for (const Verb& verb : verbs) cases += BashCase(verb);
  return fmt::format(
      R"(# bash completion for larder: source <(larder completion bash)
_larder_reply() {{
  local line
  while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen "$@" -- "$word")
}}
_larder() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}} verb='' i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${{COMP_WORDS[i]}} in
      {}) ((i++)) ;;
      -*) ;;
      *)
        case $verb in
          '') verb=${{COMP_WORDS[i]}} ;;
          {}) verb+=" ${{COMP_WORDS[i]}}" ;;
        esac ;;
    esac
  done
  case $verb in
    '') if [[ $word == -* ]]; then _larder_reply -W '{}'; else _larder_reply -W '{}'; fi ;;
{}{}  esac
}}
complete -o default -F _larder larder
)",
      ValueFlagPattern(verbs), fmt::join(Groups(verbs), "|"), Joined(FlagWords(Verb())), Joined(WordsBelow(verbs, "")),
      groups, cases);
}

std::string ZshCompletion(std::span<const Verb> verbs) {
  std::string groups;
  for (const std::string& group : Groups(verbs)) {
    groups += fmt::format("    '{}') compadd -- {} ;;\n", group, Joined(WordsBelow(verbs, group)));
  }
  std::string cases;
  for (const Verb& verb : verbs) cases += ZshCase(verb);
  return fmt::format(
      R"(#compdef larder
# zsh completion for larder: source <(larder completion zsh)
_larder() {{
  local verb='' i
  for ((i = 2; i < CURRENT; i++)); do
    case ${{words[i]}} in
      {}) ((i++)) ;;
      -*) ;;
      *)
        case $verb in
          '') verb=${{words[i]}} ;;
          {}) verb+=" ${{words[i]}}" ;;
        esac ;;
    esac
  done
  case $verb in
    '') compadd -- {} ;;
{}{}  esac
}}
compdef _larder larder
)",
      ValueFlagPattern(verbs), fmt::join(Groups(verbs), "|"), Joined(WordsBelow(verbs, "")), groups, cases);
}

std::string FishCompletion(std::span<const Verb> verbs) {
  std::string text = "# fish completion for larder: larder completion fish | source\ncomplete -c larder -f\n";
  for (const std::string& word : WordsBelow(verbs, "")) {
    const auto verb = std::find_if(verbs.begin(), verbs.end(), [&](const Verb& v) { return v.name == word; });
    const std::string help = verb == verbs.end() ? "" : fmt::format(" -d '{}'", Quoted(verb->summary));
    text += fmt::format("complete -c larder -n __fish_use_subcommand -a {}{}\n", word, help);
  }
  for (const Flag* flag : FlagsOf(Verb())) text += FishFlag("true", *flag);
  for (const Verb& verb : verbs) {
    const size_t space = verb.name.find(' ');
    std::string condition = "__fish_seen_subcommand_from " + verb.name.substr(0, space);
    if (space != verb.name.npos) {
      const std::string second = verb.name.substr(space + 1);
      text += fmt::format("complete -c larder -n '{}' -a {} -d '{}'\n", condition, second, Quoted(verb.summary));
      condition += "; and __fish_seen_subcommand_from " + second;
    }
    for (const Flag& flag : verb.flags) text += FishFlag(condition, flag);
    if (!verb.choices.empty()) {
      text += fmt::format("complete -c larder -n '{}' -a '{}'\n", condition, Joined(verb.choices));
    }
    if (verb.complete != Complete::kNothing) text += fmt::format("complete -c larder -n '{}' -F\n", condition);
  }
  return text;
}

}  // namespace larder::cli
