// What control.sock answers to requests that no client of ours would send.
#include <gmock/gmock.h>
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/generic/generic_stub.h>

#include <future>
#include <random>
#include <set>

#include "larder/agent/v1/agent.pb.h"
#include "larder/base/testing/status_matchers.h"
#include "larder/object/ids.h"
#include "larder/rpc/channel.h"
#include "larder/rpc/happens_before.h"
#include "tests/agent_under_test.h"

namespace larder::cache_agent {
namespace {

namespace pb = larder::agent::v1;
using google::protobuf::FieldDescriptor;
using google::protobuf::MethodDescriptor;

constexpr int kRounds = 300;  // per method

// Strings and numbers that are at some edge, or random bytes.
class Source {
 public:
  std::string Text() {
    static const std::vector<std::string> kEdges = {
        "", "k", "/", "a//b", "..", std::string(255, 's'), std::string(2000, 's'), std::string("a\0b", 3), "\xC0\xAF"};
    return Choose(2) == 0 ? kEdges[Choose(kEdges.size())] : Bytes(Choose(40));
  }
  std::string Bytes(size_t size) {
    std::string bytes(size, '\0');
    for (char& c : bytes) c = static_cast<char>(Choose(256));
    return bytes;
  }
  uint64_t Number() {
    static const std::vector<uint64_t> kEdges = {0, 1, 1000, 1001, UINT32_MAX, UINT64_MAX};
    return kEdges[Choose(kEdges.size())];
  }
  size_t Choose(size_t of) { return random_() % of; }

 private:
  std::mt19937_64 random_{1};
};

// A request of the method's type with every field set to something. A type of field that is missing here is a new one
// of the protos.
std::string Filled(const MethodDescriptor& method, Source& source) {
  auto* factory = google::protobuf::MessageFactory::generated_factory();
  std::unique_ptr<google::protobuf::Message> message(factory->GetPrototype(method.input_type())->New());
  const google::protobuf::Reflection& fields = *message->GetReflection();
  for (int i = 0; i < method.input_type()->field_count(); ++i) {
    const FieldDescriptor* field = method.input_type()->field(i);
    switch (field->cpp_type()) {
      case FieldDescriptor::CPPTYPE_STRING: {
        const std::string text = source.Text();
        // The parser refuses what is no UTF-8 before a handler sees it; that is what random bytes below are for.
        if (field->type() == FieldDescriptor::TYPE_BYTES || object::IsUtf8(text)) {
          fields.SetString(message.get(), field, text);
        }
        break;
      }
      case FieldDescriptor::CPPTYPE_BOOL:
        fields.SetBool(message.get(), field, source.Choose(2) == 0);
        break;
      case FieldDescriptor::CPPTYPE_UINT32:
        fields.SetUInt32(message.get(), field, static_cast<uint32_t>(source.Number()));
        break;
      default:
        ADD_FAILURE() << "no values for " << field->full_name() << ": add its type";
    }
  }
  return message->SerializeAsString();
}

class AnyBytes : public AppTest {
 protected:
  grpc::StatusCode Call(const MethodDescriptor& method, const std::string& bytes) {
    grpc::ClientContext context;
    context.AddMetadata("larder-namespace", "team-a");
    const grpc::Slice slice(bytes);
    const grpc::ByteBuffer request(&slice, 1);
    grpc::ByteBuffer response;
    std::promise<grpc::Status> done;
    const std::string name = "/" + method.service()->full_name() + "/" + method.name();
    rpc::HappensBefore(&done);
    stub_.UnaryCall(&context, name, {}, &request, &response, [&](grpc::Status status) {
      rpc::HappensAfter(&done);
      done.set_value(status);
    });
    return done.get_future().get().error_code();
  }

  Agent agent_{Defaults()};
  grpc::GenericStub stub_{rpc::DialUnix(dir_ / "a.run" / "control.sock")};
  Source source_;
};

TEST_F(AnyBytes, AreAnsweredByEveryMethodAndLeaveTheAgentAsItWas) {
  ASSERT_THAT(agent_.Start(), base::IsOk());
  const auto client = agent_.Connect("team-a");
  ASSERT_THAT(Put(*client, "k", "kept"), base::IsOk());
  const google::protobuf::ServiceDescriptor* service = pb::StatRequest::descriptor()->file()->service(0);
  const std::set<grpc::StatusCode> allowed = {
      grpc::StatusCode::OK,       grpc::StatusCode::INVALID_ARGUMENT, grpc::StatusCode::NOT_FOUND,
      grpc::StatusCode::INTERNAL, grpc::StatusCode::UNIMPLEMENTED,  // gRPC's own, for what is no message
  };
  for (int i = 0; i < service->method_count(); ++i) {
    const MethodDescriptor& method = *service->method(i);
    std::set<grpc::StatusCode> seen;
    for (int round = 0; round < kRounds; ++round) {
      const std::string bytes = round % 2 == 0 ? Filled(method, source_) : source_.Bytes(source_.Choose(60));
      const grpc::StatusCode code = Call(method, bytes);
      const bool asks_others = code == grpc::StatusCode::UNAVAILABLE && method.name() == "ListNodes";  // there are none
      ASSERT_TRUE(allowed.contains(code) || asks_others)
          << method.name() << " of " << testing::PrintToString(bytes) << ": " << code;
      seen.insert(code);
    }
    // What asks for nothing cannot ask for anything wrong.
    EXPECT_TRUE(seen.contains(grpc::StatusCode::INVALID_ARGUMENT) || method.input_type()->field_count() == 0)
        << method.name();
  }
  ASSERT_THAT(Put(*client, "after", "served"), base::IsOk());
  EXPECT_THAT(client->Get("after"), base::IsOk());
}

}  // namespace
}  // namespace larder::cache_agent
