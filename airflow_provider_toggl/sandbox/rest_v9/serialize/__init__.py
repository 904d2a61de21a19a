"""The JSON of v9: keys, their order and their formats as recorded, otherwise as the published definitions say."""
