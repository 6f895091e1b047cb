#include "larder/observe/logger.h"

#include <fmt/format.h>
#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <mutex>
#include <utility>

#include "larder/base/error_table.h"
#include "larder/base/status.h"
#include "src/line.h"

namespace larder::observe {
namespace {

spdlog::level::level_enum SpdlogLevel(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      break;
  }
  return spdlog::level::err;
}

// Hands lines to a function; base_sink serialises them.
class FunctionSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit FunctionSink(std::function<void(std::string_view)> output) : output_(std::move(output)) {}

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    output_(std::string_view(message.payload.data(), message.payload.size()));
  }
  void flush_() override {}
  std::function<void(std::string_view)> output_;
};

spdlog::sink_ptr SinkFor(std::function<void(std::string_view)> output) {
  if (output) return std::make_shared<FunctionSink>(std::move(output));
  return std::make_shared<spdlog::sinks::stderr_sink_mt>();
}

std::string StatusText(const absl::Status& status) {
  const std::string reason = base::Reason(status);
  return fmt::format("{}{}: {}", base::ErrorRowOf(status.code()).name, reason.empty() ? "" : " (" + reason + ")",
                     base::Message(status));
}

}  // namespace

LogField::LogField(std::string_view key, const absl::Status& status) : key_(key), value_(StatusText(status)) {}

struct Logger::Impl {
  Impl(LogOptions o, const base::Clock& c)
      : options(std::move(o)), clock(c), spdlog(options.service, SinkFor(std::move(options.output))) {
    spdlog.set_pattern("%v");
    spdlog.set_level(SpdlogLevel(options.level));
  }
  LogOptions options;
  const base::Clock& clock;
  spdlog::logger spdlog;
};

Logger::Logger(LogOptions options, const base::Clock& clock)
    : impl_(std::make_unique<Impl>(std::move(options), clock)) {}
Logger::~Logger() = default;

void Logger::Log(LogLevel level, std::string_view event, Fields fields) {
  if (!impl_->spdlog.should_log(SpdlogLevel(level))) return;
  const Line line = {impl_->clock.WallNow(), level, impl_->options.service, event, {fields.begin(), fields.size()}};
  const std::string text = impl_->options.format == LogFormat::kJson ? JsonLine(line) : TextLine(line);
  impl_->spdlog.log(SpdlogLevel(level), spdlog::string_view_t(text));
}

void Logger::SetLevel(LogLevel level) { impl_->spdlog.set_level(SpdlogLevel(level)); }

}  // namespace larder::observe
