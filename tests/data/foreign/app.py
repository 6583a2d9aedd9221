from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

ORIGINS = ["https://ui.example", "https://admin.example"]

app = FastAPI()
app.add_middleware(
    CORSMiddleware,
    allow_origins=ORIGINS,
    allow_methods=["GET", "PUT"],
    allow_headers=["authorization", "x-version"],
    allow_credentials=True,
)
