#include "core/each_key.h"
#include "verbs/all.h"

namespace larder::cli {

Verb DeleteVerb() {
  return {
      .name = "delete",
      .operands = "KEY...",
      .min_operands = 1,
      .max_operands = kManyOperands,
      .summary = "Delete objects; those who read them now may go on",
      .example = "larder delete models/m1 models/m2",
      .run =
          [](Context& context, const Arguments& given) {
            return ForEachKey(
                context, given, "delete",
                [](client::Client& client, const std::string& key) { return client.Delete(key); }, nullptr);
          },
  };
}

}  // namespace larder::cli
