#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "larder/base/clock.h"
#include "larder/base/unique_fd.h"
#include "larder/resp/request_parser.h"
#include "larder/resp/server.h"
#include "larder/resp/session.h"
#include "src/metrics.h"
#include "src/pipeline.h"
#include "src/receive_buffer.h"

namespace larder::resp {

// One client: its socket, and what was received and is to be sent. Its event loop's thread only.
class Connection {
 public:
  // Executes a call; the reply comes back by Finish(ticket, …).
  using Execute = std::function<void(Call call, uint64_t ticket)>;

  Connection(base::UniqueFd socket, int64_t id, const ServerOptions& options, const Authenticator* authenticator,
             const base::Clock& clock, Metrics& metrics, Execute execute);

  // Each returns false when the connection is over: destroy it.
  bool Readable();
  bool Writable() { return Advance(); }
  bool Finish(uint64_t ticket, std::string reply);
  bool Drain();         // reads no more, and is over once all is answered and sent
  bool InTime() const;  // neither slow to authenticate nor slow to read

  bool wants_read() const;
  bool wants_write() const { return sent_ < out_.size(); }
  int fd() const { return socket_.get(); }
  uint32_t events = 0;  // what the loop waits for; the loop's

 private:
  bool Advance();
  bool Parse();
  void Take(Outcome outcome);
  void StartCall(Call call);
  bool Send();

  const base::UniqueFd socket_;
  const ServerOptions& options_;
  const base::Clock& clock_;
  Metrics& metrics_;
  const Execute execute_;
  const base::MonotonicTime connected_;
  ReceiveBuffer buffer_;
  RequestParser parser_;
  Session session_;
  Pipeline pipeline_;
  std::optional<Call> held_;  // until what is in flight is answered
  std::string out_;
  size_t sent_ = 0;               // of out_
  base::MonotonicTime progress_;  // when the client last took something, or had nothing to take
  bool closing_ = false;          // no request is looked at any more
};

}  // namespace larder::resp
