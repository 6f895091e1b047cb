#include "rpc/node_list.h"

#include <chrono>
#include <string>
#include <utility>

#include "larder/base/status.h"
#include "larder/object/ids.h"

namespace larder::cache_agent {

namespace pb = larder::agent::v1;

namespace {

// Of one who is asked. Both are tried within what a person waits.
constexpr base::Duration kPatience = std::chrono::seconds(2);
constexpr uint32_t kMostListed = 1000;
// A page token begins with who gave it.
constexpr char kManagers = 'm';
constexpr char kTracker = 't';

using Listed = object::Done<absl::StatusOr<pb::ListNodesResponse>>;

pb::NodeState StateOf(peers::v1::NodeState state) {
  switch (state) {
    case peers::v1::NODE_STATE_LIVE:
      return pb::NODE_STATE_LIVE;
    case peers::v1::NODE_STATE_SUSPECT:
      return pb::NODE_STATE_SUSPECT;
    case peers::v1::NODE_STATE_LOST:
      return pb::NODE_STATE_LOST;
    case peers::v1::NODE_STATE_DRAINING:
      return pb::NODE_STATE_DRAINING;
    default:
      return pb::NODE_STATE_UNSPECIFIED;
  }
}

// What both say in the same words.
template <typename Told>
pb::Node WithMarks(const Told& told) {
  pb::Node node;
  node.set_name(told.name());
  node.set_draining(told.draining());
  node.set_quarantined(told.quarantined());
  node.set_address(told.address());
  node.set_zone(told.zone());
  node.set_rack(told.rack());
  return node;
}

template <typename Response>
pb::ListNodesResponse ToPage(const Response& told, pb::NodeSource source, char prefix) {
  pb::ListNodesResponse page;
  page.set_source(source);
  for (const auto& node : told.nodes()) *page.add_nodes() = ToNode(node);
  if (!told.next_page_token().empty()) page.set_next_page_token(prefix + told.next_page_token());
  return page;
}

absl::Status NoCluster() {
  return base::Error(absl::StatusCode::kUnavailable, "NO_TRACKER",
                     "this agent is alone: it knows of no other nodes (set 'tracker' to make it one of a cluster)");
}

// What a tracker answered stays as it is.
absl::Status Explained(const absl::Status& status) {
  const std::string reason = base::Reason(status);
  if (!reason.empty() && reason != "NO_TRACKER") return status;
  return base::Error(absl::StatusCode::kUnavailable, "NO_TRACKER",
                     "no peer manager told of the nodes, nor did a tracker: {} (look at them, and at the network)",
                     base::Message(status));
}

}  // namespace

pb::Node ToNode(const peers::v1::Node& told) {
  pb::Node node = WithMarks(told);
  node.set_state(StateOf(told.state()));
  node.set_state_ms(told.state_ms());
  node.set_node_epoch(told.node_epoch());
  if (told.has_last_seen_ms()) node.set_last_seen_ms(told.last_seen_ms());
  if (told.has_load()) {
    node.set_uplink_bytes_per_second(told.load().uplink_bytes_per_second());
    node.set_upload_queue(told.load().upload_queue());
  }
  if (!told.has_capacity()) return node;
  node.mutable_memory()->set_used_bytes(told.load().memory_used_bytes());
  node.mutable_memory()->set_total_bytes(told.capacity().memory_bytes());
  if (told.capacity().disk_bytes() == 0) return node;
  node.mutable_disk()->set_used_bytes(told.load().disk_used_bytes());
  node.mutable_disk()->set_total_bytes(told.capacity().disk_bytes());
  return node;
}

pb::Node ToNode(const tracker::v1::Node& told) {
  pb::Node node = WithMarks(told);
  if (told.fenced()) node.set_state(pb::NODE_STATE_LOST);
  node.set_node_epoch(told.epoch());
  node.set_last_seen_ms(told.last_seen_ms());
  return node;
}

void NodeList::List(const pb::ListNodesRequest& request, Listed done) const {
  const uint32_t page_size = request.page_size();
  if (page_size > kMostListed) {
    return done(base::InvalidArgument("BAD_LIMIT", "page_size {} is above {}", page_size, kMostListed));
  }
  const char begun_at = request.page_token().empty() ? '\0' : request.page_token().front();
  const std::string token = request.page_token().empty() ? "" : request.page_token().substr(1);
  const bool known = begun_at == kTracker || begun_at == kManagers || request.page_token().empty();
  if (!known || (begun_at != kTracker && !object::IsUtf8(token))) {
    return done(base::InvalidArgument("BAD_FIELD", "page_token is none that this agent gave"));
  }
  if (!tracker_) return done(NoCluster());
  if (begun_at == kTracker) return AskTheTracker(page_size, token, done);
  peers::v1::ListNodesRequest asked;
  asked.set_page_size(page_size);
  asked.set_page_token(token);
  managers_(asked, kPatience,
            [this, page_size, begun_at, done](const absl::StatusOr<peers::v1::ListNodesResponse>& told) {
              if (told.ok()) return done(ToPage(*told, pb::NODE_SOURCE_PEER_MANAGER, kManagers));
              if (begun_at == kManagers || absl::IsInvalidArgument(told.status())) return done(told.status());
              AskTheTracker(page_size, "", done);
            });
}

void NodeList::AskTheTracker(uint32_t page_size, const std::string& page_token, const Listed& done) const {
  tracker::v1::ListNodesRequest asked;
  asked.set_page_size(page_size);
  asked.set_page_token(page_token);
  tracker_(std::move(asked), kPatience, [done](const absl::StatusOr<tracker::v1::ListNodesResponse>& told) {
    if (!told.ok()) return done(Explained(told.status()));
    done(ToPage(*told, pb::NODE_SOURCE_TRACKER, kTracker));
  });
}

}  // namespace larder::cache_agent
