#pragma once
#include <absl/status/statusor.h>

#include <memory>
#include <string>

#include "larder/agent/v1/agent.pb.h"
#include "larder/base/clock.h"
#include "larder/object/object.h"
#include "larder/object/peer.h"
#include "larder/object/registries.h"

namespace larder::cli {

// An endpoint, "SCHEME://ADDRESS", and what speaks to it. INVALID_ARGUMENT (BAD_URI, UNKNOWN_SCHEME).
struct Endpoint {
  object::TransportEntry transport;
  std::string address;
};
absl::StatusOr<Endpoint> ParseEndpoint(const std::string& endpoint);

// What an agent tells by gRPC. Not thread-safe.
class AgentControl {
 public:
  // For calls in namespace `ns`, or, if it is empty, in that of the agent's choice. Connects when first asked.
  // INVALID_ARGUMENT as of ParseEndpoint.
  static absl::StatusOr<std::unique_ptr<AgentControl>> Open(const std::string& endpoint, const std::string& ns);
  ~AgentControl();

  // How the agent is. INVALID_ARGUMENT (NO_CONTROL) for a transport that leads to no gRPC; UNAVAILABLE (NO_AGENT;
  // NO_ANSWER after `patience`) naming where it should answer; UNIMPLEMENTED (OLD_AGENT) if it is too old. May be asked
  // again after any error.
  absl::StatusOr<agent::v1::StatusResponse> Status(base::Duration patience);
  // What is known of an object, and of those that begin with a prefix. The agent's errors, and those of Status;
  // DEADLINE_EXCEEDED (NO_ANSWER).
  absl::StatusOr<object::ObjectStat> Stat(const std::string& key, base::Duration patience);
  absl::StatusOr<object::ListPage> List(const object::ListRequest& request, base::Duration patience);
  // A page of the cluster's nodes. Errors likewise, and INVALID_ARGUMENT (NO_CONTROL) as of Status.
  absl::StatusOr<agent::v1::ListNodesResponse> ListNodes(const agent::v1::ListNodesRequest& request,
                                                         base::Duration patience);
  // The agent's node; empty until it has answered.
  std::string node() const;
  // Where it should answer.
  const std::string& where() const;

 private:
  struct Impl;
  explicit AgentControl(std::unique_ptr<Impl> impl);
  const std::unique_ptr<Impl> impl_;
};

}  // namespace larder::cli
