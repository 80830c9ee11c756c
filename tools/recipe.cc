#include "tools/recipe.h"

#include "qat/base/file.h"
#include "qat/base/hash.h"
#include "qat/base/json_message.h"
#include "tools/recipe.pb.h"

namespace simaqat {

ScaffoldOptions loadRecipe(const std::string& path, std::string* hash) {
  const std::string text = readFile(path);
  *hash = hashHex(text);
  proto::Recipe recipe;
  readJsonMessage(path, text, &recipe);
  if (!recipe.preset().empty() && recipe.preset() != "sima") {
    throw inputError("{}: preset '{}' is not known (sima is)", path, recipe.preset());
  }
  ScaffoldOptions options;
  for (const proto::RecipeOverride& entry : recipe.overrides()) {
    if (entry.op_type().empty() && entry.node().empty()) {
      throw inputError("{}: an override needs op_type or node", path);
    }
    if (!entry.has_quantize()) throw inputError("{}: an override needs quantize", path);
    options.overrides.push_back({entry.op_type(), entry.node(), entry.quantize()});
  }
  return options;
}

}  // namespace simaqat
