#pragma once
#include <absl/status/status.h>

#include <concepts>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "larder/base/clock.h"

namespace larder::observe {

enum class LogLevel : uint8_t { kDebug, kInfo, kWarning, kError };
enum class LogFormat : uint8_t { kText, kJson };

// One key and value of a log line, made in place: {"socket", path}. Text is borrowed until the call returns.
class LogField {
 public:
  using Value = std::variant<std::string_view, std::string, bool, int64_t, uint64_t, double>;

  LogField(std::string_view key, std::string_view value) : key_(key), value_(value) {}
  LogField(std::string_view key, const char* value) : key_(key), value_(std::string_view(value)) {}
  LogField(std::string_view key, const std::string& value) : key_(key), value_(std::string_view(value)) {}
  LogField(std::string_view key, bool value) : key_(key), value_(value) {}
  LogField(std::string_view key, std::floating_point auto value) : key_(key), value_(double{value}) {}
  LogField(std::string_view key, std::signed_integral auto value) : key_(key), value_(int64_t{value}) {}
  LogField(std::string_view key, std::unsigned_integral auto value) : key_(key), value_(uint64_t{value}) {}
  // "NOT_FOUND (REASON): message".
  LogField(std::string_view key, const absl::Status& status);

  std::string_view key() const { return key_; }
  const Value& value() const { return value_; }

 private:
  std::string_view key_;
  Value value_;
};

struct LogOptions {
  LogLevel level = LogLevel::kInfo;
  LogFormat format = LogFormat::kText;
  std::string service;                                // who logs, on every line; "cache_agent"
  std::function<void(std::string_view line)> output;  // without newline, never two at once; stderr if empty
};

// Events for people and log stores, one a line: log.Info("agent serving", {{"socket", path}}). `event` is a constant
// text that can be searched for; what varies goes into fields. Never log a secret or an object's bytes. An instance per
// process or App, no global. Thread-safe.
class Logger {
 public:
  using Fields = std::initializer_list<LogField>;

  // Borrows `clock` for the time of each line.
  Logger(LogOptions options, const base::Clock& clock);
  ~Logger();
  Logger(const Logger&) = delete;
  Logger& operator=(const Logger&) = delete;

  void Debug(std::string_view event, Fields fields = {}) { Log(LogLevel::kDebug, event, fields); }
  void Info(std::string_view event, Fields fields = {}) { Log(LogLevel::kInfo, event, fields); }
  void Warning(std::string_view event, Fields fields = {}) { Log(LogLevel::kWarning, event, fields); }
  void Error(std::string_view event, Fields fields = {}) { Log(LogLevel::kError, event, fields); }
  void Log(LogLevel level, std::string_view event, Fields fields);

  // Lines below `level` are dropped from now on.
  void SetLevel(LogLevel level);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace larder::observe
