#include "tests/whole_swarm.h"

#include <algorithm>
#include <bit>

#include "larder/base/digest.h"
#include "larder/base/status.h"

namespace larder::swarm {

namespace {

using std::chrono::milliseconds;

constexpr uint32_t kPieceLength = base::kMiB;

}  // namespace

struct WholeSwarm::SharedDestination final : Destination {
  absl::Status Prepare(const std::shared_ptr<const Manifest>&, const std::shared_ptr<PieceMap>& map) override {
    pieces = map;
    listening = pieces->Listen(changed);
    return absl::OkStatus();
  }
  base::MutableByteSpan At(uint64_t, uint64_t size) override {
    static std::array<std::byte, kPieceLength> memory;
    return std::span(memory).first(size);
  }
  absl::Status Verified(uint32_t) override { return absl::OkStatus(); }
  std::function<void()> changed;
  std::shared_ptr<PieceMap> pieces;
  std::shared_ptr<void> listening;
};

WholeSwarm::WholeSwarm(const Options& options)
    : options_(options),
      random_(options.seed),
      nodes_(options.children + 1),
      seeding_(options.pieces, options.seed, begin_, milliseconds(500)) {
  Tick();
  const std::vector<std::byte> chunk(kMaxChunk);
  chunk_crc_ = base::Crc32c(chunk);
  uint32_t crc = 0;
  for (uint32_t i = 0; i < kPieceLength / kMaxChunk; ++i) crc = base::Crc32cCombine(crc, chunk_crc_, kMaxChunk);
  Manifest manifest{.size = uint64_t{options.pieces} * kPieceLength, .piece_length = kPieceLength};
  manifest.pieces.assign(options.pieces, crc);
  manifest_ = std::make_shared<const Manifest>(std::move(manifest));
  for (int child = 1; child <= options.children; ++child) {
    base::Duration at{static_cast<int64_t>(random_() % static_cast<uint64_t>(options.apart.count()))};
    if (child == options.children) at += options.last_joins;
    At(at, [this, child] { Begin(child); });
  }
}
WholeSwarm::~WholeSwarm() = default;

double WholeSwarm::bound() const {
  const double alone = static_cast<double>(manifest_->size) / options_.rate;
  return alone * (1 + (std::bit_width(static_cast<unsigned>(options_.children)) - 1.0) / options_.pieces);
}

base::Duration WholeSwarm::took() const {
  base::Duration most{};
  for (const Node& node : nodes_) most = std::max(most, node.done.value_or(base::Duration{}));
  return most;
}

uint32_t WholeSwarm::held(int child) const {
  const auto& destination = nodes_[child].destination;
  return destination && destination->pieces ? destination->pieces->held().count() : 0;
}

Parent WholeSwarm::ParentOf(int node) const {
  return {.node = NameOf(node), .node_epoch = {1}, .address = NameOf(node), .ticket = "ticket"};
}

void WholeSwarm::Schedule(base::MonotonicTime at, std::function<void()> run) {
  events_.push({.at = at, .number = next_event_++, .run = std::move(run)});
}

void WholeSwarm::Run(base::Duration most) {
  const base::MonotonicTime until = now_ + most;
  const auto all_done = [&] {
    for (size_t i = 1; i < nodes_.size(); ++i) {
      if (!nodes_[i].dead && !nodes_[i].stopped && !nodes_[i].done) return false;
    }
    return true;
  };
  while (!all_done() && !events_.empty() && events_.top().at <= until) {
    const Event event = events_.top();
    events_.pop();
    now_ = std::max(now_, event.at);
    event.run();
  }
}

void WholeSwarm::Begin(int child) {
  Node& node = nodes_[child];
  if (node.dead) return;
  node.destination = std::make_shared<SharedDestination>();
  node.destination->changed = [this, child] { TellAll(child); };
  node.machine = std::make_unique<FetchMachine>(FetchRequest{.id = kObject,
                                                             .epoch = kEpoch,
                                                             .parents = {ParentOf(0)},
                                                             .destination = node.destination,
                                                             .more_parents_may_come = true},
                                                FetcherOptions{}, metrics_, random_(), now_);
  for (int other = 1; options_.acquainted && other <= options_.children; ++other) {
    if (other == child || nodes_[other].machine == nullptr || nodes_[other].dead) continue;
    for (const auto& [who, whom] : {std::pair(child, other), std::pair(other, child)}) {
      const base::Duration in{static_cast<int64_t>(random_() % static_cast<uint64_t>(options_.apart.count()))};
      Schedule(now_ + in + 4 * options_.latency, [this, who = who, whom = whom] {
        if (nodes_[who].dead || nodes_[who].done) return;
        nodes_[who].machine->AddParent(ParentOf(whom), now_);
        Settle(who);
      });
    }
  }
  Settle(child);
}

void WholeSwarm::Settle(int child) {
  Node& node = nodes_[child];
  if (node.machine == nullptr || node.dead || node.stopped) return;
  while (true) {
    node.machine->Advance(now_);
    const auto actions = node.machine->TakeActions();
    if (actions.empty()) break;
    for (const auto& action : actions) Do(child, action);
  }
  if (node.machine->result() && !node.done) {
    EXPECT_TRUE(node.machine->result()->status.ok()) << node.machine->result()->status;
    node.done = now_ - begin_;
  }
  const base::Deadline next = node.machine->next();
  if (next == base::kNoDeadline || next == node.woken) return;
  node.woken = next;
  Schedule(std::max(next, now_), [this, child] { Settle(child); });
}

void WholeSwarm::Do(int child, const FetchMachine::Action& action) {
  using Kind = FetchMachine::Action::Kind;
  Node& node = nodes_[child];
  if (action.kind == Kind::kTell) return;
  if (action.kind == Kind::kDial) return Dial(child, action);
  const auto found = node.links.find(action.parent);
  if (found == node.links.end()) return;
  const uint64_t id = found->second;
  if (action.kind == Kind::kClose) {
    Close(id);
  } else {
    Schedule(now_ + options_.latency, [this, id, text = action.text] { Receive(id, text); });
  }
}

void WholeSwarm::Close(uint64_t id) {
  const auto found = links_.find(id);
  if (found == links_.end()) return;
  const Link link = found->second;
  links_.erase(found);
  nodes_[link.child].links.erase(link.id);
  nodes_[link.parent].served.erase(id);
  if (link.seeded) {
    seeding_.Leave(id);
    Seed();
  }
}

void WholeSwarm::Kill(int child) {
  Node& node = nodes_[child];
  node.dead = true;
  for (const auto& [id, link] : std::map(links_)) {
    if (link.parent == child) {
      Schedule(now_ + options_.latency, [this, who = link.child, parent = link.id, id = id] {
        Close(id);
        if (nodes_[who].dead) return;
        nodes_[who].machine->OnClosed(parent, base::Error(absl::StatusCode::kUnavailable, "DISCONNECTED", "dead"),
                                      now_);
        Settle(who);
      });
    }
    if (link.child == child) Schedule(now_ + options_.latency, [this, id = id] { Close(id); });
  }
}

void WholeSwarm::Dial(int child, const FetchMachine::Action& action) {
  const int to = std::stoi(action.text.substr(1));
  if (nodes_[to].dead) {
    Schedule(now_ + options_.latency, [this, child, id = action.parent] {
      nodes_[child].machine->OnClosed(id, base::Error(absl::StatusCode::kUnavailable, "CANNOT_DIAL", "dead"), now_);
      Settle(child);
    });
    return;
  }
  const uint64_t id = next_link_++;
  links_[id] = {.parent = to, .child = child, .id = action.parent};
  nodes_[child].links[action.parent] = id;
  Schedule(now_ + 2 * options_.latency, [this, id] {
    const auto found = links_.find(id);
    if (found == links_.end()) return;
    const int who = found->second.child;
    nodes_[who].machine->OnConnected(found->second.id, now_);
    Settle(who);
  });
}

void WholeSwarm::Receive(uint64_t id, const std::string& frames) {
  base::ByteSpan rest = base::AsBytes(frames);
  while (!rest.empty() && links_.contains(id)) {
    const auto frame = NextControl(rest);
    ASSERT_THAT(frame, base::IsOk());
    ASSERT_TRUE(frame->has_value());
    rest = rest.subspan(kHeaderSize + (*frame)->payload.size());
    Link& link = links_.at(id);
    switch ((*frame)->header.kind) {
      case FrameKind::kOpen:
        Open(id, (*frame)->header.flags == kFlagged);
        break;
      case FrameKind::kGet: {
        const GetFrame get = DecodeGet((*frame)->payload).value();
        link.requests.push_back(get);
        if (link.seeded) {
          seeding_.Asked(id, get.run, now_);
          Seed();
        }
        nodes_[link.parent].turns.push_back(id);
        Turn(link.parent);
        break;
      }
      case FrameKind::kCancel: {
        const uint32_t request = DecodeCancel((*frame)->payload).value().request;
        std::erase_if(link.requests, [&](const GetFrame& get) { return get.request == request; });
        break;
      }
      default:
        break;
    }
  }
}

void WholeSwarm::Open(uint64_t id, bool piecemeal) {
  Link& link = links_.at(id);
  Node& parent = nodes_[link.parent];
  const uint32_t pieces = options_.pieces;
  if (link.parent != 0 && (parent.destination == nullptr || parent.destination->pieces == nullptr)) {
    Say(id, EncodeError(0, base::Error(absl::StatusCode::kUnavailable, "NOT_YET", "not yet")));
    return;
  }
  link.open = true;
  link.told_held = PieceSet(pieces);
  link.told_arriving = PieceSet(pieces);
  parent.served[id] = true;
  link.seeded = link.parent == 0 && piecemeal && options_.seeding && !seeding_.over();
  const bool complete = link.parent == 0 && !link.seeded;
  Say(id, EncodeManifestFrame(*manifest_, complete, link.seeded));
  if (complete) link.told_held = PieceSet::All(pieces);
  if (link.seeded) {
    seeding_.Join(id, now_);
    Seed();
  }
  TellPieces(id);
}

void WholeSwarm::Tick() {
  Seed();
  Schedule(now_ + milliseconds(250), [this] { Tick(); });
}

void WholeSwarm::Seed() {
  for (const uint64_t id : seeding_.Advance(now_)) TellPieces(id);
}

void WholeSwarm::Say(uint64_t id, const std::string& frames) {
  Link& link = links_.at(id);
  link.arrives = std::max(link.arrives, now_ + options_.latency);
  Schedule(link.arrives, [this, id, frames] {
    base::ByteSpan rest = base::AsBytes(frames);
    while (!rest.empty() && links_.contains(id)) {
      const Link link = links_.at(id);
      FetchMachine& machine = *nodes_[link.child].machine;
      machine.OnBytes(link.id, now_);
      const auto frame = NextControl(rest);
      ASSERT_TRUE(frame.ok());
      rest = rest.subspan(kHeaderSize + (*frame)->payload.size());
      machine.OnFrame(link.id, **frame, now_);
      Settle(link.child);
    }
  });
}

void WholeSwarm::TellAll(int node) {
  for (const auto& [id, open] : std::map(nodes_[node].served)) TellPieces(id);
}

void WholeSwarm::TellPieces(uint64_t id) {
  Link& link = links_.at(id);
  if (!link.open || link.told_held.full()) return;
  PieceSet held(options_.pieces);
  PieceSet arriving(options_.pieces);
  if (link.seeded) {
    held = seeding_.told(id);
  } else {
    held = nodes_[link.parent].destination->pieces->held();
    arriving = nodes_[link.parent].destination->pieces->arriving();
  }
  std::string frames;
  const auto tell = [&](PieceMap::State state, auto changed) {
    PieceSet pieces(held.size());
    for (uint32_t piece = 0; piece < held.size(); ++piece) {
      if (changed(piece)) pieces.Add(piece);
    }
    frames += EncodeHave(state, pieces.Runs());
  };
  tell(PieceMap::State::kHeld, [&](uint32_t piece) { return held.Has(piece) && !link.told_held.Has(piece); });
  tell(PieceMap::State::kArriving,
       [&](uint32_t piece) { return arriving.Has(piece) && !link.told_arriving.Has(piece); });
  tell(PieceMap::State::kAbsent,
       [&](uint32_t piece) { return link.told_arriving.Has(piece) && !arriving.Has(piece) && !held.Has(piece); });
  link.told_held = held;
  link.told_arriving = arriving;
  if (!frames.empty()) Say(id, frames);
  if (!link.requests.empty()) {
    nodes_[link.parent].turns.push_back(id);
    Turn(link.parent);
  }
}

void WholeSwarm::Turn(int number) {
  Node& node = nodes_[number];
  while (!node.busy && !node.turns.empty()) {
    const uint64_t id = node.turns.front();
    node.turns.pop_front();
    if (links_.contains(id)) SendNext(id);
  }
}

bool WholeSwarm::SendNext(uint64_t id) {
  Link& link = links_.at(id);
  Node& parent = nodes_[link.parent];
  if (link.requests.empty() || nodes_[link.child].stopped || parent.stopped) return false;
  const GetFrame& get = link.requests.front();
  if (link.parent != 0) {
    const PieceMap::State state = parent.destination->pieces->at(get.run.first);
    if (state == PieceMap::State::kArriving) return false;
    if (state == PieceMap::State::kAbsent) {
      Say(id, EncodeError(get.request, base::Error(absl::StatusCode::kNotFound, "NO_PIECE", "not here")));
      link.requests.pop_front();
      return SendNext(id);
    }
  }
  const uint32_t size = std::min(kMaxChunk, manifest_->SizeOf(get.run.first) - get.start);
  parent.busy = true;
  std::erase(parent.turns, id);
  const auto took = std::chrono::ceil<base::Duration>(std::chrono::duration<double>(size / options_.rate));
  Schedule(now_ + took, [this, id, number = link.parent, request = get.request, size] {
    Node& node = nodes_[number];
    node.busy = false;
    node.sent += size;
    if (node.dead) return;
    if (links_.contains(id)) Sent(id, request, size);
    Turn(number);
  });
  return true;
}

void WholeSwarm::Sent(uint64_t id, uint32_t request, uint32_t size) {
  Link& link = links_.at(id);
  nodes_[link.parent].turns.push_back(id);
  if (link.requests.empty() || link.requests.front().request != request) return;  // it was cancelled meanwhile
  GetFrame& get = link.requests.front();
  const PieceFrame frame{.request = request, .piece = get.run.first, .offset = get.start};
  get.start += size;
  const bool ends = get.start == manifest_->SizeOf(frame.piece);
  if (ends) {
    get.start = 0;
    ++get.run.first;
    if (--get.run.count == 0) link.requests.pop_front();
  }
  Deliver(id, frame, size);
  if (!link.seeded) return;
  seeding_.Moved(id, now_);
  if (ends) seeding_.Sent(id, frame.piece, now_);
  Seed();
}

void WholeSwarm::Deliver(uint64_t id, const PieceFrame& frame, uint32_t size) {
  Link& link = links_.at(id);
  link.arrives = std::max(link.arrives, now_ + options_.latency);
  Schedule(link.arrives, [this, id, frame, size] {
    const auto found = links_.find(id);
    if (found == links_.end() || nodes_[found->second.child].dead) return;
    const Link link = found->second;
    FetchMachine& machine = *nodes_[link.child].machine;
    machine.OnBytes(link.id, now_);
    const auto room = machine.Room(link.id, frame, 0, size);
    ASSERT_TRUE(room.ok()) << room.status();
    if (room->empty()) return;
    machine.OnWanted(link.id, now_);
    machine.OnData(link.id, frame, size, chunk_crc_, now_);
    Settle(link.child);
  });
}

}  // namespace larder::swarm
