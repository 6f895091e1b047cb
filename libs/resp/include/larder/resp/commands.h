#pragma once
#include <absl/status/status.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "larder/resp/operation.h"
#include "larder/resp/reply_writer.h"

namespace larder::resp {

// A data command of one connection.
struct Call {
  Operation operation;  // views into what `bytes` keeps alive
  Op op = Op::kOther;
  Protocol protocol = Protocol::kResp2;  // in which to write the reply
  std::string name_space;                // of the client's user
  int database = 0;                      // 0 to 15
  std::shared_ptr<const void> bytes;     // the receive buffer; kept as long as the views are needed
};

// A whole reply, encoded by a ReplyWriter of the call's protocol, and how it counts in the metrics.
struct Reply {
  std::string bytes;
  absl::StatusCode code = absl::StatusCode::kOk;
};
// An error of the caller's own: the code's word in the error table, then the message, "-TIMEOUT outcome unknown".
Reply ErrorReply(const absl::Status& status);

// Takes the reply of one call, once, on any thread. Dropping it leaves the connection waiting until it is closed.
using Done = std::function<void(Reply)>;

// Executes data commands: the caller's store. Thread-safe.
class Commands {
 public:
  virtual ~Commands() = default;
  // Never blocks; calls `done` now or later. Several calls of one connection are in flight at once, either reads or
  // writes, never both: a read is handed over once the connection's earlier writes are answered, and a write once its
  // earlier reads are. Writes of one connection must take effect in the order in which they were handed over.
  virtual void Execute(Call call, Done done) = 0;
};

// Decides who a client is. Thread-safe; must not block.
class Authenticator {
 public:
  virtual ~Authenticator() = default;
  // False: clients that say nothing are user `default`, whatever its password, in namespace `default`.
  virtual bool Required() const = 0;
  // Whether `password` is `user`'s; if so, `name_space` is set to the one that the user belongs to.
  virtual bool Check(std::string_view user, std::string_view password, std::string& name_space) const = 0;
};

}  // namespace larder::resp
