#include <memory>
#include <nlohmann/json.hpp>

#include "core/agent_control.h"
#include "core/context.h"
#include "core/object_view.h"
#include "larder/base/status.h"
#include "verbs/all.h"

namespace larder::cli {
namespace {

// Prints page by page, so that memory does not grow with the number of objects.
absl::Status List(Context& context, const Arguments& given) {
  object::ListRequest request{.prefix = given.operands.empty() ? "" : given.operands.front(),
                              .local = given.Has("--local")};
  LARDER_ASSIGN_OR_RETURN(const std::unique_ptr<AgentControl> agent, context.ConnectControl());
  const std::vector<Column> columns = ListColumns(context.wide());
  bool first = true;
  const auto print = [&](const object::ObjectInfo& info) {
    if (context.quiet) {
      context.out.Line(info.id.key);
    } else if (context.json()) {
      context.out.Text(first ? "" : ",\n");
      context.out.Text(JsonText(ObjectJson({.info = info}, agent->node())));
    } else {
      if (first) context.out.Line(TableHead(columns));
      context.out.Line(TableRow(columns, ListCells(info, context.wide())));
    }
    first = false;
  };
  for (bool more = true; more;) {
    LARDER_ASSIGN_OR_RETURN(const object::ListPage page, agent->List(request, context.Patience()));
    if (context.json() && request.after.empty()) context.out.Text("[");
    for (const object::ObjectInfo& info : page.objects) print(info);
    LARDER_RETURN_IF_ERROR(context.out.Flush());
    more = page.more && !page.objects.empty();
    if (more) request.after = page.objects.back().id.key;
  }
  if (context.json()) context.out.Line("]");
  return absl::OkStatus();
}

}  // namespace

Verb ListVerb() {
  return {
      .name = "list",
      .operands = "[PREFIX]",
      .max_operands = 1,
      .summary = "List the objects whose keys begin with PREFIX, by key",
      .example = "larder list models/ -o wide",
      .flags = {{.name = "--local", .help = "only what this node has"}},
      .run = List,
  };
}

}  // namespace larder::cli
