"""The development issuer: signs tokens for anybody who asks, so that items can be tried before auth stands."""
