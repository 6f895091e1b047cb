#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "core/command.h"
#include "core/reply.h"

namespace larder::tracker {

// The node epoch that was given, if one was.
std::optional<NodeEpoch> RegisteredIn(const Reply& reply);

// Seeded commands of all kinds on few names, with ids from earlier replies, so that most are about something that
// exists and many are refused.
class RandomCommands {
 public:
  explicit RandomCommands(uint64_t seed) : random_(seed) {}

  Command Next();
  // What `Next` gives is about what was seen.
  void Saw(const Command& command, const Reply& reply);
  // An entry of one or several commands, at times with a request id, a fence, a stamp that goes back.
  Entry NextEntry();
  uint64_t Below(uint64_t bound) { return random_() % bound; }

 private:
  struct Version {
    BlobId blob;
    Epoch epoch;
  };

  ObjectId Name();
  NodeRef Node();
  ObjectMeta Meta();
  Version AnyVersion();
  base::Duration Wait();
  Command NextOfInventory(const NodeRef& node);
  Command NextOfObjects(const NodeRef& node);
  Command NextOfCluster(const NodeRef& node);

  std::mt19937_64 random_;
  LogTime now_{1};
  std::array<NodeEpoch, 3> nodes_{};
  std::vector<Version> versions_;
  std::vector<UploadTicket> tickets_;
  std::vector<LeaseToken> tokens_;
  std::vector<ClientSession> sessions_;
};

}  // namespace larder::tracker
