#include "src/connection.h"

#include <sys/socket.h>

#include <cerrno>
#include <utility>

namespace larder::resp {

Connection::Connection(base::UniqueFd socket, int64_t id, const ServerOptions& options,
                       const Authenticator* authenticator, const base::Clock& clock, Metrics& metrics, Execute execute)
    : socket_(std::move(socket)),
      options_(options),
      clock_(clock),
      metrics_(metrics),
      execute_(std::move(execute)),
      connected_(clock.Now()),
      session_(id, authenticator),
      progress_(connected_) {}

bool Connection::wants_read() const {
  return !closing_ && !held_ && pipeline_.size() < options_.max_pipeline && out_.size() - sent_ < options_.pause_output;
}

bool Connection::InTime() const {
  const base::MonotonicTime now = clock_.Now();
  if (!session_.authenticated() && now - connected_ >= options_.auth_timeout) return false;
  return !wants_write() || now - progress_ < options_.write_timeout;
}

bool Connection::Readable() {
  const std::span<char> room = buffer_.Room(parser_.expected());
  const ssize_t got = recv(socket_.get(), room.data(), room.size(), 0);
  if (got < 0) return errno == EAGAIN || errno == EINTR;
  if (got == 0) return false;
  buffer_.Received(static_cast<size_t>(got));
  return Advance();
}

bool Connection::Finish(uint64_t ticket, std::string reply) {
  pipeline_.Finish(ticket, std::move(reply));
  return Advance();
}

bool Connection::Drain() {
  closing_ = true;
  return Advance();
}

// Does all that can be done now: requests that were received, replies that are ready.
bool Connection::Advance() {
  if (held_ && pipeline_.MayStart(IsWrite(held_->operation))) {
    Call call = *std::move(held_);
    held_.reset();
    StartCall(std::move(call));
  }
  do {
    pipeline_.TakeReady(out_);
    if (!Send()) return false;
  } while (wants_read() && Parse());
  if (out_.size() - sent_ > options_.max_output || buffer_.Unused().size() > options_.max_request) return false;
  return !closing_ || held_ || !pipeline_.empty() || wants_write();
}

// Takes the requests that are there until something holds it up. False: it found none.
bool Connection::Parse() {
  bool any = false;
  while (wants_read()) {
    const std::span<char> input = buffer_.Unused();
    const ParserLimits limits = {.max_bulk = options_.max_bulk, .authenticated = session_.authenticated()};
    const ParseResult result = parser_.Next(input, limits);
    if (result == ParseResult::kNeedMore) return any;
    any = true;
    if (result == ParseResult::kError) {
      std::string reply;
      ReplyWriter(reply, session_.protocol()).Error(parser_.error());
      metrics_.Answered(Op::kOther, absl::StatusCode::kInvalidArgument);
      pipeline_.Add(std::move(reply));
      closing_ = true;
      return true;
    }
    if (result == ParseResult::kRequest) {
      const auto now = std::chrono::duration_cast<std::chrono::milliseconds>(clock_.WallNow().time_since_epoch());
      Take(session_.Handle(parser_.arguments(), now.count()));
    }
    buffer_.Use(parser_.consumed());
  }
  return any;
}

void Connection::Take(Outcome outcome) {
  closing_ = outcome.close;
  if (!outcome.call) {
    metrics_.Answered(outcome.op, outcome.reply.code);
    pipeline_.Add(std::move(outcome.reply.bytes));
    return;
  }
  outcome.call->bytes = buffer_.Lend();
  if (pipeline_.MayStart(IsWrite(outcome.call->operation))) {
    StartCall(*std::move(outcome.call));
  } else {
    held_ = std::move(outcome.call);
  }
}

void Connection::StartCall(Call call) {
  const uint64_t ticket = pipeline_.Start(IsWrite(call.operation));
  execute_(std::move(call), ticket);
}

bool Connection::Send() {
  if (!wants_write()) progress_ = clock_.Now();
  while (wants_write()) {
    const ssize_t sent = send(socket_.get(), out_.data() + sent_, out_.size() - sent_, MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN || errno == EINTR;
    sent_ += static_cast<size_t>(sent);
    progress_ = clock_.Now();
  }
  out_.clear();
  sent_ = 0;
  return true;
}

}  // namespace larder::resp
