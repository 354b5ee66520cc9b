//! Gemini's generateContent payload: requests out, answers in.
