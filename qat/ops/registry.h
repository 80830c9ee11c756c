// All operators of the build: every file of this folder and of internal/ defines one.
#pragma once

#include "qat/ir/op.h"

namespace simaqat {

const OpRegistry& opRegistry();

}  // namespace simaqat
