"""What a page may be told to say above it: nothing but these, whoever wrote the link."""

SIGN_IN = {
    "signed-up": "Your account is ready. Sign in with the password that you have chosen.",
    "password-reset": "Your password is changed, and you are signed out everywhere. Sign in with the new one.",
    "signed-out": "You are signed out.",
    "too-late": "That took too long, so please begin again.",
}
ACCOUNT = {
    "session-ended": "That device is signed out.",
    "others-ended": "All other devices are signed out.",
    "withdrawn": "That application can act for you no more.",
    "password-changed": "Your password is changed, and all other devices are signed out.",
    "second-factor-added": "From now on, signing in takes a code of your app as well.",
    "second-factor-removed": "From now on, your password alone is enough to sign in.",
}
