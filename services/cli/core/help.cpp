#include "core/help.h"

#include <fmt/format.h>

#include <algorithm>

namespace larder::cli {
namespace {

constexpr std::string_view kExitCodes =
    "Exit codes: 0 ok, 1 other, 2 usage or bad input, 3 not found, 4 exists or conflict, 5 permission,\n"
    "6 no space or quota, 7 unavailable, 8 deadline, 9 corrupt, 10 interrupted.\n";

std::string Name(const Flag& flag) {
  const std::string letter = flag.letter == 0 ? "    " : fmt::format("-{}, ", flag.letter);
  return letter + flag.name + (flag.value.empty() ? "" : " " + flag.value);
}

std::string Table(std::string_view title, std::span<const Flag* const> flags) {
  if (flags.empty()) return "";
  size_t width = 0;
  for (const Flag* flag : flags) width = std::max(width, Name(*flag).size());
  std::string text = fmt::format("\n{}:\n", title);
  for (const Flag* flag : flags) text += fmt::format("  {:{}}  {}\n", Name(*flag), width, flag->help);
  return text;
}

std::string Indented(std::string_view lines) {
  std::string text;
  while (!lines.empty()) {
    const size_t end = std::min(lines.find('\n'), lines.size());
    text += fmt::format("  {}\n", lines.substr(0, end));
    lines.remove_prefix(std::min(end + 1, lines.size()));
  }
  return text;
}

}  // namespace

std::string HelpOfAll(std::span<const Verb> verbs, const std::string& group) {
  std::string text = group.empty() ? "larder: objects written once, read by every pod of the cluster\n\n" : "";
  text += fmt::format("Usage: larder {} [FLAGS]\n\nVerbs:\n", group.empty() ? "VERB" : group + " VERB");
  size_t width = 0;
  for (const Verb& verb : verbs) width = std::max(width, verb.name.size() + 1 + verb.operands.size());
  for (const Verb& verb : verbs) {
    if (!group.empty() && !verb.name.starts_with(group + " ")) continue;
    text += fmt::format("  {:{}}  {}\n", verb.name + " " + verb.operands, width, verb.summary);
  }
  text += Table("Flags of every verb", FlagsOf(Verb()));
  text += "\nExample:\n  larder import model.bin --key models/m1 && larder export models/m1 -O copy.bin\n";
  text += fmt::format("\n`larder VERB --help` tells more.\n{}", kExitCodes);
  return text;
}

std::string HelpOf(const Verb& verb) {
  std::string text = fmt::format("{}\n\nUsage: larder {}{}{} [FLAGS]\n", verb.summary, verb.name,
                                 verb.operands.empty() ? "" : " ", verb.operands);
  const std::vector<const Flag*> flags = FlagsOf(verb);
  text += Table("Flags", std::span(flags).first(verb.flags.size()));
  text += Table("Flags of every verb", std::span(flags).subspan(verb.flags.size()));
  text += fmt::format("\nExample:\n{}", Indented(verb.example));
  return text;
}

}  // namespace larder::cli
