#include <unistd.h>

#include <charconv>
#include <ctime>
#include <nlohmann/json.hpp>

#include "core/agent_control.h"
#include "core/context.h"
#include "core/live_screen.h"
#include "core/object_view.h"
#include "core/top_json.h"
#include "core/top_screen.h"
#include "larder/base/status.h"
#include "larder/base/units.h"
#include "verbs/all.h"

namespace larder::cli {
namespace {

namespace pb = larder::agent::v1;

constexpr base::Duration kShortestInterval = std::chrono::milliseconds(100);
constexpr base::Duration kPatience = std::chrono::seconds(1);  // below what an interrupt grants (Interrupts::kGrace)
constexpr ScreenSize kPage = {.columns = 120, .rows = 1000};   // where there is no screen

struct Options {
  base::Duration interval = std::chrono::seconds(1);
  uint64_t count = 0;  // samples; 0: no end
};

absl::StatusOr<Options> ParseOptions(const Arguments& given, bool terminal) {
  Options options{.count = terminal ? 0u : 1u};
  if (given.Has("--interval")) {
    LARDER_ASSIGN_OR_RETURN(options.interval, base::ParseDuration(given.Text("--interval")));
    if (options.interval < kShortestInterval) {
      return base::InvalidArgument("BAD_VALUE", "--interval {} is below {}", given.Text("--interval"),
                                   base::FormatDuration(kShortestInterval));
    }
  }
  if (const std::string text = given.Text("--count"); !text.empty()) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), options.count);
    if (error != std::errc() || end != text.data() + text.size()) {
      return base::InvalidArgument("BAD_VALUE", "--count '{}' is no number", text);
    }
  }
  return options;
}

// Whoever watches without an end ends it by a signal: that is no failure.
absl::Status UnlessLeft(const absl::Status& why, bool endless) {
  return endless && absl::IsCancelled(why) ? absl::OkStatus() : why;
}

std::string TimeOfDay() {
  const std::time_t now = std::time(nullptr);
  std::tm local = {};
  ::localtime_r(&now, &local);
  return fmt::format("{:02}:{:02}:{:02}", local.tm_hour, local.tm_min, local.tm_sec);
}

// Takes samples, and what became of the agent between them.
class Sampler {
 public:
  Sampler(AgentControl& control, pb::StatusResponse first)
      : control_(control), taken_(clock_.Now()), view_{.status = std::move(first)} {}

  // The view is as good as it can be, whatever this returns.
  absl::Status Take() {
    absl::StatusOr<pb::StatusResponse> next = control_.Status(kPatience);
    const base::MonotonicTime now = clock_.Now();
    view_.time = TimeOfDay();
    view_.trouble = base::Message(next.status());
    if (next.ok()) {
      view_.rates = RatesBetween(view_.status, *next);
      view_.status = *std::move(next);
      taken_ = now;
    } else {
      view_.rates.reset();
    }
    view_.age_seconds = static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::seconds>(now - taken_).count());
    return next.status();
  }
  TopView& view() { return view_; }

 private:
  AgentControl& control_;
  const base::SystemClock clock_;
  base::MonotonicTime taken_;  // when the agent last answered
  TopView view_;
};

absl::Status Live(Context& context, Sampler& sampler, const Options& options) {
  LiveScreen screen;
  const Interrupts::Unwinding unwinding(context.interrupts, Interrupts::kGrace, [&] { screen.Restore(); });
  sampler.view().time = TimeOfDay();
  sampler.view().keys = screen.has_keys();
  const base::SystemClock clock;
  for (uint64_t shown = 0; options.count == 0 || shown < options.count; ++shown) {
    if (shown > 0) sampler.Take().IgnoreError();  // the view tells
    const base::MonotonicTime next = clock.Now() + options.interval;
    LiveScreen::Event event = LiveScreen::Event::kResized;
    while (event == LiveScreen::Event::kResized) {
      LARDER_RETURN_IF_ERROR(screen.Draw(TopScreen(sampler.view(), screen.size())));
      event = screen.Wait(next - clock.Now(), context.interrupts.fd());
    }
    if (event == LiveScreen::Event::kQuit) return absl::OkStatus();
    if (const absl::Status left = context.interrupts.Check(); !left.ok()) return UnlessLeft(left, options.count == 0);
  }
  return absl::OkStatus();
}

absl::Status Print(Context& context, Sampler& sampler, const Options& options) {
  const Interrupts::Unwinding unwinding(context.interrupts);
  for (uint64_t printed = 0; options.count == 0 || printed < options.count; ++printed) {
    if (const absl::Status left = context.interrupts.Sleep(options.interval); !left.ok()) {
      return UnlessLeft(left, options.count == 0);
    }
    const absl::Status taken = sampler.Take();
    if (!taken.ok() && options.count == 1) return taken;
    if (context.json()) {
      context.out.Line(JsonText(taken.ok() ? TopJson(sampler.view().status, sampler.view().rates) : ErrorJson(taken)));
    } else {
      if (printed > 0) context.out.Line("");
      for (const ScreenLine& line : TopScreen(sampler.view(), kPage)) context.out.Line(line.text);
    }
    LARDER_RETURN_IF_ERROR(context.out.Flush());
  }
  return absl::OkStatus();
}

absl::Status Top(Context& context, const Arguments& given) {
  const bool terminal = ::isatty(STDOUT_FILENO) == 1;
  LARDER_ASSIGN_OR_RETURN(const Options options, ParseOptions(given, terminal));
  LARDER_ASSIGN_OR_RETURN(const std::unique_ptr<AgentControl> control,
                          AgentControl::Open(context.settings.endpoint, context.settings.ns));
  LARDER_ASSIGN_OR_RETURN(pb::StatusResponse first, control->Status(kPatience));
  Sampler sampler(*control, std::move(first));
  return terminal && !context.json() ? Live(context, sampler, options) : Print(context, sampler, options);
}

}  // namespace

Verb TopVerb() {
  return {
      .name = "top",
      .summary = "Watch an agent: memory, gets and puts a second, leases, namespaces; q ends it",
      .example =
          "larder top\n"
          "larder top --count 60 -o json > minute.jsonl   # a sample a line",
      .flags = {{.name = "--interval", .value = "DURATION", .help = "between two samples (default 1s)"},
                {.name = "--count",
                 .value = "N",
                 .help = "end after so many samples (default: 1 if stdout is no terminal, else 0: no end)"}},
      .run = Top,
  };
}

}  // namespace larder::cli
