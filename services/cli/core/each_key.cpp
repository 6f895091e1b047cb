#include "core/each_key.h"

#include <memory>
#include <nlohmann/json.hpp>

#include "core/object_view.h"
#include "larder/base/status.h"

namespace larder::cli {

absl::Status ForEachKey(Context& context, const Arguments& given, const std::string& verb,
                        const std::function<absl::Status(client::Client&, const std::string& key)>& call,
                        const std::function<void(nlohmann::ordered_json&)>& extra) {
  LARDER_ASSIGN_OR_RETURN(const std::unique_ptr<client::Client> client, context.Connect());
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const std::string& key : given.operands) {
    LARDER_RETURN_IF_ERROR(context.interrupts.Check());
    if (const absl::Status done = call(*client, key); !done.ok()) {
      context.Report(base::Annotate(done, verb + " " + key));
      continue;
    }
    if (context.quiet) context.out.Line(key);
    nlohmann::ordered_json row = {{"namespace", client->ns()}, {"key", key}};
    if (extra) extra(row);
    rows.push_back(std::move(row));
  }
  if (context.json()) context.out.Line(JsonText(rows));
  return absl::OkStatus();
}

}  // namespace larder::cli
