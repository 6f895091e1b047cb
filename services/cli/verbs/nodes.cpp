#include <memory>
#include <nlohmann/json.hpp>

#include "core/agent_control.h"
#include "core/context.h"
#include "core/node_view.h"
#include "core/object_view.h"
#include "larder/base/status.h"
#include "verbs/all.h"

namespace larder::cli {
namespace {

namespace pb = larder::agent::v1;

// Prints page by page, so that memory does not grow with the number of nodes.
absl::Status Nodes(Context& context, const Arguments&) {
  LARDER_ASSIGN_OR_RETURN(const std::unique_ptr<AgentControl> agent, context.ConnectControl());
  const std::vector<Column> columns = NodeColumns(context.wide());
  bool first = true;
  const auto print = [&](const pb::Node& node, pb::NodeSource source) {
    if (context.quiet) {
      context.out.Line(node.name());
    } else if (context.json()) {
      context.out.Text(first ? "" : ",\n");
      context.out.Text(JsonText(NodeJson(node, source)));
    } else {
      if (first) context.out.Line(TableHead(columns));
      context.out.Line(TableRow(columns, NodeCells(node, source, context.wide())));
    }
    first = false;
  };
  pb::ListNodesRequest request;
  do {
    LARDER_ASSIGN_OR_RETURN(const pb::ListNodesResponse page, agent->ListNodes(request, context.Patience()));
    if (context.json() && request.page_token().empty()) context.out.Text("[");
    for (const pb::Node& node : page.nodes()) print(node, page.source());
    LARDER_RETURN_IF_ERROR(context.out.Flush());
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  if (context.json()) context.out.Line("]");
  return absl::OkStatus();
}

}  // namespace

Verb NodesVerb() {
  return {
      .name = "nodes",
      .summary = "List the cluster's nodes, by name: who is alive, where, with how much room",
      .example =
          "larder nodes\n"
          "larder nodes -o json",
      .flags = {{.name = "--quiet", .help = "print names only, one a line", .letter = 'q'}},
      .run = Nodes,
  };
}

}  // namespace larder::cli
