#pragma once
#include <chrono>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "larder/base/status.h"
#include "rpc/peer_manager_link.h"

namespace larder::cache_agent {

// Peer managers that answer when a test says so, by their addresses. One thread.
class ScriptedPeerManagers {
 public:
  // What was said on the link that lives, and what the agent is to hear on it.
  struct Manager {
    int dialled = 0;
    PeerManagerLink::Events events;  // of the link
    bool linked = false;
    std::vector<peers::v1::SessionRequest> said;
    absl::StatusOr<peers::v1::ListNodesResponse> nodes = peers::v1::ListNodesResponse();
    int asked_for_nodes = 0;
    // Calls that wait for an answer.
    using Joined = object::Done<absl::StatusOr<peers::v1::JoinResponse>>;
    std::vector<std::pair<peers::v1::JoinRequest, Joined>> joins;

    // Answers the last that was said.
    void Answer(bool leads, base::Duration session = std::chrono::seconds(10)) {
      if (!linked || said.empty()) throw std::logic_error("nothing was said");
      peers::v1::SessionResponse response;
      response.set_sequence(said.back().sequence());
      response.set_leads(leads);
      response.set_session_ms(session / std::chrono::milliseconds(1));
      events.received(response);
    }
    void End(const absl::Status& why) { events.ended(why); }
  };

  DialPeerManager dial() {
    return [this](const std::string& address, PeerManagerLink::Events events) -> std::unique_ptr<PeerManagerLink> {
      Manager& manager = managers[address];
      ++manager.dialled;
      manager.events = std::move(events);
      manager.said.clear();
      return std::make_unique<Link>(manager);
    };
  }

  std::map<std::string, Manager> managers;

 private:
  class Link final : public PeerManagerLink {
   public:
    explicit Link(Manager& manager) : manager_(manager) { manager_.linked = true; }
    ~Link() override { manager_.linked = false; }
    void Send(peers::v1::SessionRequest request) override { manager_.said.push_back(std::move(request)); }
    void ListNodes(peers::v1::ListNodesRequest, base::Duration,
                   object::Done<absl::StatusOr<peers::v1::ListNodesResponse>> done) override {
      ++manager_.asked_for_nodes;
      done(manager_.nodes);
    }
    void Join(peers::v1::JoinRequest request, base::Duration,
              object::Done<absl::StatusOr<peers::v1::JoinResponse>> done) override {
      manager_.joins.emplace_back(std::move(request), std::move(done));
    }

   private:
    Manager& manager_;
  };
};

}  // namespace larder::cache_agent
