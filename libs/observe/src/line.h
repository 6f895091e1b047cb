#pragma once
#include <span>
#include <string>
#include <string_view>

#include "larder/observe/logger.h"

namespace larder::observe {

// One log line, without its newline. Pure.
struct Line {
  base::WallTime time;
  LogLevel level;
  std::string_view service;
  std::string_view event;
  std::span<const LogField> fields;
};

// 2024-05-01T12:00:00.000Z INFO cache_agent: agent serving socket=/run/larder objects=3
std::string TextLine(const Line& line);
// {"time":"2024-05-01T12:00:00.000Z","level":"info","service":"cache_agent","event":"agent serving",…}
std::string JsonLine(const Line& line);

}  // namespace larder::observe
