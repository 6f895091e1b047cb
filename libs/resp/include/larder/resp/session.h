#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "larder/resp/command.h"
#include "larder/resp/commands.h"

namespace larder::resp {

// The version whose replies are kept, which HELLO shows.
inline constexpr std::string_view kRedisVersion = "7.0.15";
inline constexpr int kDatabases = 16;
inline constexpr std::string_view kDefaultNamespace = "default";

// What becomes of a request: a call to execute, else a reply that is ready.
struct Outcome {
  Op op = Op::kOther;
  std::optional<Call> call;
  Reply reply;         // without a call; may be empty
  bool close = false;  // once the reply is sent; requests behind it are not looked at
};

// The state of one connection, and the commands that only touch it. Pure; not thread-safe.
class Session {
 public:
  // `authenticator` may be null, as if none were required, and is borrowed.
  Session(int64_t id, const Authenticator* authenticator);

  // `arguments` is not empty. The call's `bytes` are left to the caller. `now_ms`: since 1970.
  Outcome Handle(std::span<const std::string_view> arguments, int64_t now_ms);

  bool authenticated() const { return authenticated_; }
  Protocol protocol() const { return protocol_; }

 private:
  using Arguments = std::span<const std::string_view>;

  void Connection(Op op, Arguments arguments, ReplyWriter& writer);
  void Ping(Arguments arguments, ReplyWriter& writer);
  void Select(Arguments arguments, ReplyWriter& writer);
  void Auth(Arguments arguments, ReplyWriter& writer);
  void Hello(Arguments arguments, ReplyWriter& writer);
  void WriteHello(ReplyWriter& writer) const;
  bool Authenticate(std::string_view user, std::string_view password);
  void SetInfo(Arguments arguments, ReplyWriter& writer);
  void Reset();
  bool AuthRequired() const { return authenticator_ != nullptr && authenticator_->Required(); }

  const int64_t id_;
  const Authenticator* const authenticator_;
  bool authenticated_ = false;
  Protocol protocol_ = Protocol::kResp2;
  std::string name_space_;
  std::string name_;
  int database_ = 0;
};

}  // namespace larder::resp
