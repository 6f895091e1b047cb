#pragma once
#include <span>
#include <string_view>

#include "larder/resp/command.h"
#include "larder/resp/reply_writer.h"

namespace larder::resp {

// The replies of COMMAND, COMMAND INFO and COMMAND DOCS; `names` are what the client asked for, none: all.
void WriteCommandInfo(std::span<const std::string_view> names, ReplyWriter& writer);
void WriteCommandDocs(std::span<const std::string_view> names, ReplyWriter& writer);

}  // namespace larder::resp
