#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "core/node_view.h"
#include "larder/base/units.h"

namespace larder::cli {
namespace {

namespace pb = larder::agent::v1;
using testing::ElementsAre;
using testing::SizeIs;

// One of which all is known.
pb::Node Known() {
  pb::Node node;
  node.set_name("a");
  node.set_state(pb::NODE_STATE_LIVE);
  node.set_state_ms(3'600'000);
  node.set_quarantined(true);
  node.set_address("a:7461");
  node.set_zone("z");
  node.set_rack("r");
  node.set_node_epoch(5);
  node.set_last_seen_ms(1500);
  node.mutable_memory()->set_used_bytes(base::kMiB);
  node.mutable_memory()->set_total_bytes(4 * base::kMiB);
  node.mutable_disk()->set_used_bytes(0);
  node.mutable_disk()->set_total_bytes(base::kGiB);
  node.set_uplink_bytes_per_second(3 * base::kMiB);
  node.set_upload_queue(7);
  return node;
}

// One of which only the name is.
pb::Node Named() {
  pb::Node node;
  node.set_name("b");
  return node;
}

TEST(NodeView, ShowsWhatIsKnownAsCells) {
  EXPECT_THAT(NodeCells(Known(), pb::NODE_SOURCE_PEER_MANAGER, false),
              ElementsAre("a", "live", "2 s", "z", "r", "1 MiB of 4 MiB", "0 B of 1 GiB", "a:7461"));
  EXPECT_THAT(NodeCells(Known(), pb::NODE_SOURCE_PEER_MANAGER, true),
              ElementsAre("a", "live", "2 s", "z", "r", "5", "60 min", "quarantined", "peer_manager", "1 MiB of 4 MiB",
                          "0 B of 1 GiB", "3 MiB/s", "7", "a:7461"));
  EXPECT_THAT(NodeCells(Named(), pb::NODE_SOURCE_TRACKER, true),
              ElementsAre("b", "unknown", "-", "-", "-", "-", "-", "-", "tracker", "-", "-", "-", "-", "-"));
  for (const bool wide : {false, true}) {
    EXPECT_THAT(NodeCells(Named(), pb::NODE_SOURCE_TRACKER, wide), SizeIs(NodeColumns(wide).size()));
  }
}

TEST(NodeView, EachStateHasItsWord) {
  const auto word = [](pb::NodeState state) {
    pb::Node node = Named();
    node.set_state(state);
    return NodeCells(node, pb::NODE_SOURCE_PEER_MANAGER, false)[1];
  };
  EXPECT_EQ(word(pb::NODE_STATE_SUSPECT), "suspect");
  EXPECT_EQ(word(pb::NODE_STATE_LOST), "lost");
  EXPECT_EQ(word(pb::NODE_STATE_DRAINING), "draining");
}

TEST(NodeView, NumbersAreBytesAndSecondsAndWhatIsNotKnownIsNull) {
  const auto known = NodeJson(Known(), pb::NODE_SOURCE_PEER_MANAGER);
  EXPECT_EQ(known["name"], "a");
  EXPECT_EQ(known["state"], "live");
  EXPECT_EQ(known["state_seconds"], 3600);
  EXPECT_EQ(known["draining"], false);
  EXPECT_EQ(known["quarantined"], true);
  EXPECT_EQ(known["address"], "a:7461");
  EXPECT_EQ(known["zone"], "z");
  EXPECT_EQ(known["rack"], "r");
  EXPECT_EQ(known["node_epoch"], 5);
  EXPECT_EQ(known["last_seen_seconds"], 1.5);
  EXPECT_EQ(known["memory_used_bytes"], base::kMiB);
  EXPECT_EQ(known["memory_total_bytes"], 4 * base::kMiB);
  EXPECT_EQ(known["disk_used_bytes"], 0);
  EXPECT_EQ(known["disk_total_bytes"], base::kGiB);
  EXPECT_EQ(known["uplink_bytes_per_second"], 3 * base::kMiB);
  EXPECT_EQ(known["upload_queue"], 7);
  EXPECT_EQ(known["source"], "peer_manager");
  const auto named = NodeJson(Named(), pb::NODE_SOURCE_TRACKER);
  EXPECT_EQ(named.size(), known.size()) << "the same names in both";
  EXPECT_EQ(named["state"], "unknown");
  EXPECT_EQ(named["source"], "tracker");
  for (const char* name :
       {"state_seconds", "address", "zone", "rack", "node_epoch", "last_seen_seconds", "memory_used_bytes",
        "memory_total_bytes", "disk_used_bytes", "disk_total_bytes", "uplink_bytes_per_second", "upload_queue"}) {
    EXPECT_TRUE(named[name].is_null()) << name;
  }
}

}  // namespace
}  // namespace larder::cli
