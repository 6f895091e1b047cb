#include "tests/simulated_swarm.h"

#include <sstream>

#include "larder/base/digest.h"
#include "larder/base/status.h"

namespace larder::swarm {

namespace {

// The parent answers in steps of this, so that ends of connections fall within pieces.
constexpr uint32_t kStep = 64 * base::kKiB;

}  // namespace

SimulatedSwarm::SimulatedSwarm(std::string bytes, uint32_t piece_length, uint64_t seed)
    : bytes_(std::move(bytes)), manifest_(ManifestOf(bytes_, piece_length)), random_(seed) {}

Parent SimulatedSwarm::Add(SimulatedParent parent) {
  const std::string node = parent.node;
  parents_[node] = std::move(parent);
  return {.node = node, .node_epoch = {1}, .address = node + ":1", .ticket = "ticket"};
}

void SimulatedSwarm::Begin(FetchRequest request, FetcherOptions options) {
  request.id = kObject;
  request.epoch = kEpoch;
  if (request.parents.empty()) {
    for (const auto& [node, parent] : parents_) request.parents.push_back(Add(SimulatedParent(parent)));
  }
  request.destination = destination_;
  machine_ = std::make_unique<FetchMachine>(std::move(request), options, metrics_, random_(), now_);
  Settle();
}

void SimulatedSwarm::Schedule(base::MonotonicTime at, std::function<void()> run, uint64_t connection) {
  const uint64_t order = std::mt19937_64(std::chrono::nanoseconds(at - begin_).count() + connection)();
  events_.push({.at = at, .tie = order, .number = next_event_++, .run = std::move(run)});
}

void SimulatedSwarm::Run(base::Duration time) {
  const base::MonotonicTime until = now_ + time;
  while (!result() && !events_.empty() && events_.top().at <= until) {
    const Event event = events_.top();
    events_.pop();
    now_ = std::max(now_, event.at);
    event.run();
    Settle();
  }
  if (!result()) now_ = until;
}

void SimulatedSwarm::Settle() {
  while (true) {
    machine_->Advance(now_);
    const auto actions = machine_->TakeActions();
    if (actions.empty()) break;
    for (const auto& action : actions) Do(action);
  }
  const base::Deadline next = machine_->next();
  if (next == base::kNoDeadline || next == woken_) return;
  woken_ = next;
  Schedule(std::max(next, now_), [] {});
}

void SimulatedSwarm::Do(const FetchMachine::Action& action) {
  using Kind = FetchMachine::Action::Kind;
  if (action.kind == Kind::kTell) {
    failures.push_back(action.failure);
  } else if (action.kind == Kind::kDial) {
    Dial(action);
  } else if (const auto found = connected_.find(action.parent); found != connected_.end()) {
    const uint64_t id = found->second;
    if (action.kind == Kind::kClose) {
      connections_.erase(id);
      connected_.erase(found);
    } else {
      Schedule(
          now_ + ParentOf(id).latency, [this, id, text = action.text] { Receive(id, text); }, id);
    }
  }
}

void SimulatedSwarm::Dial(const FetchMachine::Action& action) {
  const std::string node = action.text.substr(0, action.text.find(':'));
  dials.emplace_back(node, now());
  const SimulatedParent& parent = parents_.at(node);
  if (parent.fault == Fault::kRefuse) {
    Schedule(now_ + parent.latency, [this, id = action.parent] {
      machine_->OnClosed(id, base::Error(absl::StatusCode::kUnavailable, "CANNOT_DIAL", "refused"), now_);
    });
    return;
  }
  const uint64_t id = next_connection_++;
  connections_[id] = {.node = node, .parent = action.parent};
  connected_[action.parent] = id;
  Schedule(now_ + 2 * parent.latency, [this, id] {
    const auto found = connections_.find(id);
    if (found != connections_.end()) machine_->OnConnected(found->second.parent, now_);
  });
}

void SimulatedSwarm::Receive(uint64_t id, const std::string& frames) {
  base::ByteSpan rest = base::AsBytes(frames);
  while (!rest.empty() && connections_.contains(id)) {
    const auto frame = NextControl(rest);
    ASSERT_THAT(frame, base::IsOk()) << "what the child sends is sound";
    ASSERT_TRUE(frame->has_value());
    rest = rest.subspan(kHeaderSize + (*frame)->payload.size());
    Connection& connection = connections_.at(id);
    switch ((*frame)->header.kind) {
      case FrameKind::kOpen:
        opens[connection.node] = DecodeOpen((*frame)->payload, (*frame)->header.flags).value();
        Open(id);
        break;
      case FrameKind::kGet:
        connection.requests.push_back(DecodeGet((*frame)->payload).value());
        asked.push_back({connection.node, connection.requests.back(), now()});
        SendNext(id);
        break;
      case FrameKind::kCancel: {
        const uint32_t request = DecodeCancel((*frame)->payload).value().request;
        cancels.emplace_back(connection.node, request);
        std::erase_if(connection.requests, [&](const GetFrame& get) { return get.request == request; });
        break;
      }
      default:
        break;
    }
  }
}

void SimulatedSwarm::Open(uint64_t id) {
  const SimulatedParent& parent = ParentOf(id);
  if (!parent.refusal.ok()) {
    SendControl(id, EncodeError(0, parent.refusal));
    return;
  }
  if (parent.after == 0 && !Spoil(id)) return;
  const bool seeds = parent.offered.has_value();
  std::string frames = EncodeManifestFrame(manifest_, !parent.held && !seeds, seeds);
  if (seeds) frames += EncodeHave(PieceMap::State::kHeld, parent.offered->Runs());
  if (parent.held) frames += EncodeHave(PieceMap::State::kHeld, parent.held->Runs());
  if (parent.arriving) frames += EncodeHave(PieceMap::State::kArriving, parent.arriving->Runs());
  SendControl(id, frames);
}

void SimulatedSwarm::SendControl(uint64_t id, const std::string& frames) {
  Schedule(
      now_ + ParentOf(id).latency,
      [this, id, frames] {
        base::ByteSpan rest = base::AsBytes(frames);
        while (!rest.empty() && connections_.contains(id)) {
          const FetchMachine::ParentId parent = connections_.at(id).parent;
          machine_->OnBytes(parent, now_);
          const auto frame = NextControl(rest);
          if (!frame.ok()) {
            machine_->OnMalformed(parent, frame.status(), now_);
            return;
          }
          rest = rest.subspan(kHeaderSize + (*frame)->payload.size());
          machine_->OnFrame(parent, **frame, now_);
        }
      },
      id);
}

void SimulatedSwarm::SendNext(uint64_t id) {
  Connection& connection = connections_.at(id);
  if (connection.sending || connection.requests.empty()) return;
  SimulatedParent& parent = ParentOf(id);
  if (connection.sent >= parent.after && !Spoil(id)) return;
  const GetFrame& get = connection.requests.front();
  if (parent.held && !parent.held->Has(get.run.first)) {
    if (parent.arriving && parent.arriving->Has(get.run.first)) return;
    SendControl(id, EncodeError(get.request, base::Error(absl::StatusCode::kNotFound, "NO_PIECE", "not here")));
    connection.requests.pop_front();
    SendNext(id);
    return;
  }
  uint32_t size = std::min(kStep, manifest_.SizeOf(get.run.first) - get.start);
  double rate = parent.rate;
  if (connection.spoiled && parent.fault == Fault::kTrickle) {
    size = 1;
    rate = 1;
  }
  connection.sending = true;
  const base::Duration took = std::chrono::ceil<base::Duration>(std::chrono::duration<double>(size / rate));
  Schedule(now_ + took, [this, id, request = get.request, size] { SendChunk(id, request, size); });
}

void SimulatedSwarm::SendChunk(uint64_t id, uint32_t request, uint32_t size) {
  if (!connections_.contains(id)) return;
  Connection& connection = connections_.at(id);
  connection.sending = false;
  if (connection.requests.empty() || connection.requests.front().request != request) {
    SendNext(id);
    return;
  }
  GetFrame& get = connection.requests.front();
  const PieceFrame frame{.request = request, .piece = get.run.first, .offset = get.start};
  std::string data = bytes_.substr(manifest_.OffsetOf(frame.piece) + frame.offset, size);
  uint32_t crc = base::Crc32c(base::AsBytes(data));
  const Fault fault = connection.spoiled ? ParentOf(id).fault : Fault::kNone;
  if (fault == Fault::kLie || fault == Fault::kDamage) data[size / 2] = static_cast<char>(data[size / 2] ^ 1);
  if (fault == Fault::kLie) crc = base::Crc32c(base::AsBytes(data));
  connection.sent += size;
  sent[connection.node] += size;
  get.start += size;
  if (get.start == manifest_.SizeOf(frame.piece)) {
    get.start = 0;
    ++get.run.first;
    if (--get.run.count == 0) connection.requests.pop_front();
  }
  connection.last = {.frame = frame, .bytes = std::move(data), .crc = crc};
  Deliver(id, connection.last);
  if (connections_.contains(id)) SendNext(id);
}

void SimulatedSwarm::Drip(uint64_t id) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  Deliver(id, found->second.last);
  Schedule(now_ + std::chrono::milliseconds(500), [this, id] { Drip(id); });
}

void SimulatedSwarm::Deliver(uint64_t id, Data data) {
  Schedule(
      now_ + ParentOf(id).latency,
      [this, id, data = std::move(data)] {
        const auto found = connections_.find(id);
        if (found == connections_.end()) return;
        found->second.unread.push_back(data);
        ReadAll(id);
      },
      id);
}

void SimulatedSwarm::ReadAll(uint64_t id) {
  for (auto found = connections_.find(id); found != connections_.end(); found = connections_.find(id)) {
    Connection& connection = found->second;
    if (connection.paused || connection.unread.empty()) return;
    const uint64_t size = connection.unread.front().bytes.size();
    const RateLimiter::Grant grant = limiter_.Take(TransferClass::kForeground, size, now_);
    if (grant.bytes == 0) {
      connection.paused = true;
      machine_->OnPaused(connection.parent, now_);
      Schedule(grant.try_again, [this, id] {
        const auto resumed = connections_.find(id);
        if (resumed == connections_.end()) return;
        resumed->second.paused = false;
        machine_->OnResumed(resumed->second.parent, now_);
        ReadAll(id);
      });
      return;
    }
    const Data data = std::move(connection.unread.front());
    connection.unread.pop_front();
    ReadOne(id, data);
  }
}

void SimulatedSwarm::ReadOne(uint64_t id, const Data& data) {
  const FetchMachine::ParentId parent = connections_.at(id).parent;
  const auto size = static_cast<uint32_t>(data.bytes.size());
  machine_->OnBytes(parent, now_);
  for (uint32_t part = 0; part < size;) {
    const auto room = machine_->Room(parent, data.frame, part, size - part);
    if (!room.ok()) {
      EXPECT_EQ(ParentOf(id).fault, Fault::kDrip) << room.status();
      machine_->OnMalformed(parent, room.status(), now_);
    }
    if (!room.ok() || room->empty()) return;
    machine_->OnWanted(parent, now_);
    std::ranges::copy(base::AsBytes(data.bytes).subspan(part, room->size()), room->begin());
    part += static_cast<uint32_t>(room->size());
  }
  const uint32_t came = base::Crc32c(base::AsBytes(data.bytes));
  if (came != data.crc) {
    machine_->OnDamaged(parent, now_);
  } else {
    machine_->OnData(parent, data.frame, size, came, now_);
  }
}

void SimulatedSwarm::HangUp(uint64_t id) {
  Schedule(
      now_ + ParentOf(id).latency,
      [this, id] {
        const auto found = connections_.find(id);
        if (found == connections_.end()) return;
        machine_->OnClosed(found->second.parent,
                           base::Error(absl::StatusCode::kUnavailable, "DISCONNECTED", "closed by the parent"), now_);
      },
      id);
}

bool SimulatedSwarm::Spoil(uint64_t id) {
  Connection& connection = connections_.at(id);
  SimulatedParent& parent = ParentOf(id);
  const bool first = !std::exchange(connection.spoiled, true);
  switch (parent.fault) {
    case Fault::kDie:
      parent.fault = Fault::kRefuse;
      HangUp(id);
      return false;
    case Fault::kHangUp:
      if (first) HangUp(id);
      return false;
    case Fault::kStall:
      return false;
    case Fault::kDrip:
      if (first && connection.sent > 0) Drip(id);
      return false;
    case Fault::kMalformed:
      if (first) SendControl(id, std::string(kHeaderSize, '\xFF'));
      return false;
    case Fault::kForget:
      parent.held = PieceSet(manifest_.piece_count());
      return true;
    default:
      return true;
  }
}

void SimulatedSwarm::Hold(const std::string& node, uint32_t piece) {
  SimulatedParent& parent = parents_.at(node);
  parent.arriving->Remove(piece);
  parent.held->Add(piece);
  for (const auto& [id, connection] : std::map<uint64_t, Connection>(connections_)) {
    if (connection.node != node) continue;
    const PieceRun run{piece, 1};
    SendControl(id, EncodeHave(PieceMap::State::kHeld, std::span(&run, 1)));
    SendNext(id);
  }
}

uint64_t SimulatedSwarm::Value(std::string_view metric) { return MetricValue(registry_, metric); }

}  // namespace larder::swarm
