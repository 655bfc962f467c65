"""A small service made of nothing but `services.common`, for its tests."""
