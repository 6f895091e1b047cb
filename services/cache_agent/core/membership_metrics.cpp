#include "core/membership_metrics.h"

namespace larder::cache_agent {
namespace {

constexpr observe::GaugeDecl<> kFenced = {
    .name = "larder_agent_fenced",
    .help = "1 while the node takes itself for fenced: it acknowledges nothing for the cluster."};
constexpr observe::GaugeDecl<observe::Word> kPeerManagers = {
    .name = "larder_agent_peer_managers",
    .help = "Configured peer managers: those that answer this node's beats (connected), and the others (lost).",
    .labels = {"state"}};

}  // namespace

MembershipMetrics::MembershipMetrics(std::function<MembershipView()> view, observe::Registry& registry)
    : fenced_(registry.AddWatch(kFenced, [view] { return view().state == SelfFence::State::kFenced ? 1.0 : 0.0; })),
      peer_managers_(registry.AddWatch(kPeerManagers, [view](const observe::Sample<observe::Word>& sample) {
        const MembershipView now = view();
        sample(static_cast<double>(now.answering), "connected");
        sample(static_cast<double>(now.peer_managers - now.answering), "lost");
      })) {}

}  // namespace larder::cache_agent
