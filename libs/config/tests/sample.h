#pragma once
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "larder/base/clock.h"
#include "larder/base/status.h"
#include "larder/base/units.h"
#include "larder/config/loader.h"

namespace larder::config {

// A service's configuration with one setting of every type, as the tests of this library load it.
struct Sample {
  enum class Identity { kOpen, kCgroup, kCsi };
  struct Quota {
    uint64_t bytes = base::kGiB;
    std::string durability = "sync";
  };
  struct Grant {
    std::string account = "*";
    std::vector<std::string> on;
  };
  std::string node_name;
  std::string data_dir = "/var/lib/larder";
  uint64_t arena = base::kGiB;
  base::Duration grace = std::chrono::seconds(30);
  bool verify = true;
  uint16_t port = 7400;
  int64_t offset = 0;
  double high_water = 0.9;
  Identity identity = Identity::kCsi;
  std::vector<std::string> tracker;
  std::map<std::string, Quota> quotas = {{"default", Quota{}}};
  std::deque<Grant> grants;
  uint64_t least = 1;
  uint64_t most = 10;
};

inline void Declare(Binder& b, Sample& c) {
  b.Text("data_dir", &c.data_dir, {.help = "Where state is kept.", .required = true});
  b.Section("node", [&](Binder& b) {
    b.Text("name", &c.node_name,
           {.help = "This node's name.", .check = [](const std::string& name) {
              return name != "localhost" ? absl::OkStatus() : base::InvalidArgument("BAD_NAME", "is everybody's name");
            }});
  });
  b.Bytes("arena", &c.arena,
          {.help = "Memory for objects.", .min = 64 * base::kMiB, .max = 1024 * base::kGiB, .reloadable = true});
  b.Time("lease.grace", &c.grace,
         {.help = "How long a lease outlives its holder.", .max = std::chrono::hours(1), .reloadable = true});
  b.Flag("verify", &c.verify, {.help = "Check digests on read.", .reloadable = true});
  b.Integer("listen_port", &c.port, {.help = "Where to listen."});
  b.Integer("offset", &c.offset, {.help = "A signed number.", .min = -5});
  b.Real("high_water", &c.high_water, {.help = "Share of the disk at which moving begins.", .max = 1});
  b.Choice("identity", &c.identity,
           {{"open", Sample::Identity::kOpen}, {"cgroup", Sample::Identity::kCgroup}, {"csi", Sample::Identity::kCsi}},
           {.help = "How callers are known."});
  b.List("tracker", &c.tracker, {.help = "Addresses of the tracker."});
  b.Each("quotas", &c.quotas,
         [](Binder& b, Sample::Quota& quota) {
           b.Bytes("bytes", &quota.bytes, {.help = "Most bytes a namespace holds.", .reloadable = true});
           b.Text("durability", &quota.durability, {.help = "Of its acknowledgements."});
         },
         {.key = "namespace", .check_key = [](const std::string& key) {
            return key != "all" ? absl::OkStatus() : base::InvalidArgument("BAD_VALUE", "all is not a namespace");
          }});
  b.Items("grants", &c.grants, [](Binder& b, Sample::Grant& grant) {
    b.Text("serviceAccount", &grant.account, {.help = "Who is allowed.", .reloadable = true});
    b.List("on", &grant.on, {.help = "Where.", .required = true, .reloadable = true});
  });
  b.Integer("limits.least", &c.least, {.help = "Least.", .reloadable = true});
  b.Integer("limits.most", &c.most, {.help = "Most.", .reloadable = true});
  b.Check([&c] {
    return c.least <= c.most ? absl::OkStatus()
                             : base::InvalidArgument("BAD_LIMITS", "limits.least is above limits.most");
  });
}

inline Naming SampleNaming() { return {.env_prefix = "LARDER_SAMPLE_"}; }

}  // namespace larder::config
