#pragma once
#include <absl/status/statusor.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/node.h"
#include "larder/object/ids.h"

namespace larder::peer_manager {

using SwarmVersion =
    object::StrongId<struct SwarmVersionTag>;  // of what was told; grows in a manager's life. 0: nothing

// What a node says of an object on its way to it.
struct Fetching {
  object::ObjectId id;
  object::Epoch epoch;   // the cluster's; 0: not known yet
  uint32_t percent = 0;  // of the pieces that it has
  uint32_t parents = 0;  // that it fetches from
  SwarmVersion known;    // of what it was told last
};
// All that a node fetches.
struct Announcement {
  NodeRef node;
  Place place;
  std::vector<Fetching> fetching;
};

// A node that fetches an object.
struct SwarmMember {
  NodeRef node;
  object::Epoch epoch;  // of the object
  Place place;
  uint32_t percent = 0;
  bool operator==(const SwarmMember&) const = default;
};
struct SwarmNews {
  object::ObjectId id;
  SwarmVersion version;
  std::vector<SwarmMember> members;  // those that are best asked first
};

// A node has no more use for others than so many; of those, the last are chosen without regard to where they are.
inline constexpr size_t kMostParents = 64;
inline constexpr size_t kParentsByChance = 16;

// At most `most` of them, for `asker` at `place`: those in its rack first, then in its zone, then others, and among
// those of one distance who has something yet. All else by chance, another for each asker. Pure.
std::vector<SwarmMember> ChooseParents(const std::string& asker, const Place& place, std::vector<SwarmMember> members,
                                       size_t most);

// Who fetches what, as agents say. Pure; one thread at a time.
class Swarms {
 public:
  // Keeps `most` fetches of all nodes together.
  explicit Swarms(size_t most) : most_(most) {}

  // Takes the place of what the node said before. The others that may want to hear of it. RESOURCE_EXHAUSTED
  // (TOO_MANY_FETCHES): what it said before holds.
  absl::StatusOr<std::set<std::string>> Announce(Announcement said);
  // The node fetches nothing more.
  void Leave(const std::string& node);
  // Who joined since it was last told, as far as it has room for them, and may be named.
  std::vector<SwarmNews> NewsFor(const std::string& node,
                                 const std::function<bool(const NodeRef&)>& may_be_named) const;

  // Those that fetch something, by name.
  std::vector<NodeRef> Nodes() const;
  size_t swarms() const { return swarms_.size(); }  // objects that are fetched
  size_t members() const { return members_; }       // fetches
  uint64_t joined() const { return last_.value; }   // since the beginning

 private:
  struct Fetch {
    Fetching said;
    SwarmVersion joined;  // 0: others do not hear of it
  };
  struct Node {
    NodeRef ref;
    Place place;
    std::map<object::ObjectId, Fetch> fetches;
  };
  std::vector<SwarmMember> MembersFor(const Node& node, const Fetch& fetch,
                                      const std::function<bool(const NodeRef&)>& may_be_named) const;

  const size_t most_;
  std::map<std::string, Node> nodes_;  // that fetch something
  std::map<object::ObjectId, std::set<std::string>> swarms_;
  size_t members_ = 0;
  SwarmVersion last_;
};

}  // namespace larder::peer_manager
