#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "core/context.h"
#include "core/object_view.h"
#include "core/tracker_control.h"
#include "core/tracker_view.h"
#include "larder/base/status.h"
#include "verbs/all.h"

namespace larder::cli {
namespace {

constexpr base::Duration kPatience = std::chrono::seconds(3);

// Less than the verb may take, so that there is time to show who did not answer.
base::Duration PatienceOf(const Settings& settings) {
  return settings.timeout > base::Duration(0) ? std::min(settings.timeout * 3 / 4, kPatience) : kPatience;
}

absl::Status TrackerStatus(Context& context, const Arguments&) {
  const std::vector<std::string>& trackers = context.settings.trackers;
  if (trackers.empty()) {
    return base::InvalidArgument("NO_TRACKER",
                                 "no tracker is named (pass --tracker HOST:PORT,... or set LARDER_TRACKER to the "
                                 "trackers' listen.grpc; agents do not tell it)");
  }
  const std::vector<TrackerAnswer> answers = AskTrackers(trackers, PatienceOf(context.settings));
  const std::vector<TrackerRow> rows = TrackerRows(answers);
  if (context.quiet) {
    for (const TrackerRow& row : rows) {
      if (row.status) context.out.Line(row.address);
    }
  } else if (context.json()) {
    nlohmann::ordered_json json = nlohmann::ordered_json::array();
    for (const TrackerRow& row : rows) json.push_back(TrackerJson(row));
    context.out.Line(JsonText(json));
  } else {
    const std::vector<Column> columns = TrackerColumns(context.wide());
    context.out.Line(TableHead(columns));
    for (const TrackerRow& row : rows) context.out.Line(TableRow(columns, TrackerCells(row, context.wide())));
  }
  if (std::ranges::any_of(answers, [](const TrackerAnswer& answer) { return answer.status.ok(); })) {
    return absl::OkStatus();
  }
  return base::Error(absl::StatusCode::kUnavailable, "NO_TRACKER",
                     "none of {} answers: {} (look at the trackers, and at the addresses)", trackers.size(),
                     base::Message(answers.front().status.status()));
}

}  // namespace

Verb TrackerStatusVerb() {
  return {
      .name = "tracker status",
      .summary = "Show each tracker: who leads, how far each is, who does not answer",
      .example =
          "larder tracker status --tracker tracker-0:7410,tracker-1:7410,tracker-2:7410\n"
          "LARDER_TRACKER=tracker-0:7410 larder tracker status -o json",
      .flags = {{.name = "--tracker",
                 .value = "H:P,...",
                 .help = "where the trackers answer, listen.grpc of each (LARDER_TRACKER)"},
                {.name = "--quiet", .help = "print the addresses that answer, one a line", .letter = 'q'}},
      .run = TrackerStatus,
  };
}

}  // namespace larder::cli
