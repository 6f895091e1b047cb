#include "src/command_replies.h"

namespace larder::resp {
namespace {

void WriteInfo(const CommandSpec* command, ReplyWriter& writer) {
  if (command == nullptr) return writer.NullArray();
  writer.Array(10);
  writer.Bulk(command->name);
  writer.Integer(command->arity);
  writer.Set(command->flags.size());
  for (const std::string_view flag : command->flags) writer.Simple(flag);
  writer.Integer(command->first_key);
  writer.Integer(command->last_key);
  writer.Integer(command->key_step);
  writer.Set(0);    // ACL categories
  writer.Array(0);  // tips
  writer.Array(0);  // key specifications
  writer.Array(command->subcommands.size());
  for (const CommandSpec& sub : command->subcommands) WriteInfo(&sub, writer);
}

void WriteDocs(const CommandSpec& command, ReplyWriter& writer) {
  writer.Bulk(command.name);
  writer.Map(command.subcommands.empty() ? 3 : 4);
  writer.Bulk("summary");
  writer.Bulk(command.summary);
  writer.Bulk("since");
  writer.Bulk(command.since);
  writer.Bulk("group");
  writer.Bulk(command.group);
  if (command.subcommands.empty()) return;
  writer.Bulk("subcommands");
  writer.Map(command.subcommands.size());
  for (const CommandSpec& sub : command.subcommands) WriteDocs(sub, writer);
}

}  // namespace

void WriteCommandInfo(std::span<const std::string_view> names, ReplyWriter& writer) {
  writer.Array(names.empty() ? CommandTable().size() : names.size());
  for (const std::string_view name : names) WriteInfo(FindCommand(name), writer);
  if (!names.empty()) return;
  for (const CommandSpec& command : CommandTable()) WriteInfo(&command, writer);
}

void WriteCommandDocs(std::span<const std::string_view> names, ReplyWriter& writer) {
  std::vector<const CommandSpec*> found;
  for (const std::string_view name : names) {
    if (const CommandSpec* command = FindCommand(name)) found.push_back(command);
  }
  if (names.empty()) {
    for (const CommandSpec& command : CommandTable()) found.push_back(&command);
  }
  writer.Map(found.size());
  for (const CommandSpec* command : found) WriteDocs(*command, writer);
}

}  // namespace larder::resp
