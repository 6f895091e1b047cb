#pragma once
#include <absl/status/status.h>

#include <string>
#include <string_view>

namespace larder::cli {

// The line that people see: "larder: what: why (what to do)". Control characters are escaped, so it stays one line.
std::string FailureLine(const absl::Status& status);
int ExitCode(const absl::Status& status);

// Writes to stderr; whether anybody can read it (it may be closed, or a full disk) changes nothing.
void Tell(std::string_view text);

// What an error of a local file is to the caller: bad input (exit 2), unless the disk is full (6). Keeps the reason.
absl::Status LocalFileError(const absl::Status& status);

// `text` with control characters as \n, \x1b: what keys and messages hold must not steer a terminal.
std::string Printable(std::string_view text);

}  // namespace larder::cli
