#include "core/swarms.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "larder/base/status.h"

namespace larder::peer_manager {
namespace {

uint8_t Distance(const Place& from, const Place& to) {
  const bool zone = !from.zone.empty() && from.zone == to.zone;
  if (zone && !from.rack.empty() && from.rack == to.rack) return 0;
  return zone ? 1 : 2;
}

// Both may be of use to each other.
bool SameObject(object::Epoch asker, object::Epoch member) { return asker.value == 0 || asker == member; }

size_t RoomOf(const Fetching& fetching) { return kMostParents - std::min<size_t>(fetching.parents, kMostParents); }

}  // namespace

std::vector<SwarmMember> ChooseParents(const std::string& asker, const Place& place, std::vector<SwarmMember> members,
                                       size_t most) {
  struct Ranked {
    uint8_t distance;
    bool empty;
    size_t chance;
    SwarmMember* member;
  };
  std::vector<Ranked> ranked;
  for (SwarmMember& member : members) {
    ranked.push_back({.distance = Distance(place, member.place),
                      .empty = member.percent == 0,
                      .chance = std::hash<std::string>()(asker + '\0' + member.node.node),
                      .member = &member});
  }
  const auto rank = [](const Ranked& r) { return std::tuple(r.distance, r.empty, r.chance); };
  std::ranges::sort(ranked, {}, rank);
  if (ranked.size() > most) {
    const auto rest = ranked.begin() + static_cast<ptrdiff_t>(most - std::min(most, kParentsByChance));
    std::ranges::sort(rest, ranked.end(), {}, &Ranked::chance);
    ranked.resize(most);
    std::ranges::sort(ranked, {}, rank);
  }
  std::vector<SwarmMember> chosen;
  for (const Ranked& r : ranked) chosen.push_back(std::move(*r.member));
  return chosen;
}

absl::StatusOr<std::set<std::string>> Swarms::Announce(Announcement said) {
  std::set<std::string> others;
  const auto known = nodes_.find(said.node.node);
  std::map<object::ObjectId, Fetch> before;
  if (known != nodes_.end() && known->second.ref == said.node && known->second.place == said.place) {
    before = known->second.fetches;
  }
  std::map<object::ObjectId, Fetch> now;
  for (Fetching& fetching : said.fetching) {
    const object::ObjectId id = fetching.id;
    now[id] = {.said = std::move(fetching), .joined = {}};
  }
  const size_t held = known == nodes_.end() ? 0 : known->second.fetches.size();
  if (members_ - held + now.size() > most_) {
    return base::Error(absl::StatusCode::kResourceExhausted, "TOO_MANY_FETCHES",
                       "{} fetches of all nodes are known, and no more are kept", members_);
  }
  if (known != nodes_.end()) Leave(said.node.node);
  if (now.empty()) return others;
  for (auto& [id, fetch] : now) {
    std::set<std::string>& swarm = swarms_[id];
    const auto old = before.find(id);
    const bool same = old != before.end() && old->second.said.epoch == fetch.said.epoch;
    if (same) fetch.joined = old->second.joined;
    if (!same && fetch.said.epoch.value != 0) {
      fetch.joined = {++last_.value};
      others.insert(swarm.begin(), swarm.end());
    }
    swarm.insert(said.node.node);
  }
  members_ += now.size();
  const std::string name = said.node.node;
  nodes_[name] = {.ref = std::move(said.node), .place = std::move(said.place), .fetches = std::move(now)};
  return others;
}

void Swarms::Leave(const std::string& node) {
  const auto found = nodes_.find(node);
  if (found == nodes_.end()) return;
  for (const auto& [id, fetch] : found->second.fetches) {
    const auto swarm = swarms_.find(id);
    swarm->second.erase(node);
    if (swarm->second.empty()) swarms_.erase(swarm);
  }
  members_ -= found->second.fetches.size();
  nodes_.erase(found);
}

std::vector<SwarmMember> Swarms::MembersFor(const Node& node, const Fetch& fetch,
                                            const std::function<bool(const NodeRef&)>& may_be_named) const {
  std::vector<SwarmMember> members;
  for (const std::string& name : swarms_.at(fetch.said.id)) {
    const Node& other = nodes_.at(name);
    const Fetch& theirs = other.fetches.at(fetch.said.id);
    if (&other == &node || theirs.joined <= fetch.said.known || !SameObject(fetch.said.epoch, theirs.said.epoch)) {
      continue;
    }
    if (other.place.address.empty() || !may_be_named(other.ref)) continue;
    members.push_back(
        {.node = other.ref, .epoch = theirs.said.epoch, .place = other.place, .percent = theirs.said.percent});
  }
  return members;
}

std::vector<SwarmNews> Swarms::NewsFor(const std::string& node,
                                       const std::function<bool(const NodeRef&)>& may_be_named) const {
  std::vector<SwarmNews> news;
  const auto found = nodes_.find(node);
  if (found == nodes_.end()) return news;
  for (const auto& [id, fetch] : found->second.fetches) {
    const size_t room = RoomOf(fetch.said);
    if (room == 0) continue;
    std::vector<SwarmMember> members = MembersFor(found->second, fetch, may_be_named);
    if (members.empty()) continue;
    news.push_back(
        {.id = id, .version = last_, .members = ChooseParents(node, found->second.place, std::move(members), room)});
  }
  return news;
}

std::vector<NodeRef> Swarms::Nodes() const {
  std::vector<NodeRef> nodes;
  for (const auto& [name, node] : nodes_) nodes.push_back(node.ref);
  return nodes;
}

}  // namespace larder::peer_manager
