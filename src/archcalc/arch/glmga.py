"""GLM-GA: GLM-4.6V's implementation under another name. Source: transformers 5.23, models/glmga/configuration_glmga.py."""

from archcalc.arch import glm46v


class Schema(glm46v.Schema):
    pass
